"""Rates counted by hand from a handful of answers, and false discovery by simulation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attribution.evaluation.benchmark.cases import Case, Truth
from attribution.evaluation.decisions.answers import Answers, Decisions, Judged
from attribution.evaluation.decisions.rates import (
    PREVALENCES,
    false_attributions,
    false_discoveries,
    false_discovery_proportion,
    listings,
    powers,
)
from attribution.evaluation.statistics.intervals import clopper_pearson


def judged(p_value, *, right=False, wrong=1.0, named=1.0, sourceless=False):
    return Judged(
        p_value=p_value,
        first="somewhere",
        right=right,
        wrong_p_value=wrong,
        named_p_value=named,
        share=0.5,
        unattributed_share=0.1,
        credit=float(right),
        sourceless=sourceless,
    )


def listed(place, *lengths):
    return replace(judged(0.5), place=place, lengths=lengths)


def case(name, *sources):
    return Case(Path("query.png"), tuple(map(Truth, sources)), name)


def answers(pairs, left_out=None, condition="clean"):
    cases, found = zip(*pairs, strict=True)
    return Answers(condition, left_out, cases, found)


WHOLE = answers(
    [
        (case("gan", "a"), judged(0.001, right=True, wrong=0.008, named=0.001)),
        (case("gan", "a"), judged(0.01, right=True, wrong=0.5)),
        (case("gan", "b"), judged(0.05, wrong=0.05)),
        (case("gan", "b"), judged(0.2, right=True)),
        (case("splice", "c", "d"), judged(0.002, wrong=0.002, named=0.06)),
        (case("splice", "d"), judged(0.5, right=True)),
        (case("none"), judged(0.03, wrong=0.03, sourceless=True)),
        (case("none"), judged(0.07, wrong=0.07, sourceless=True)),
        (case("none"), judged(0.9, wrong=0.9, sourceless=True)),
        (case("none"), judged(1.0, sourceless=True)),
        (case("others"), judged(0.01, wrong=0.01, sourceless=True)),
    ]
)
LEFT_OUT = answers(
    [
        (case("gan", "a"), judged(0.05, sourceless=True)),
        (case("gan", "a"), judged(0.06, sourceless=True)),
        (case("gan", "b"), judged(0.3, sourceless=True)),
        (case("gan", "b"), judged(0.4, sourceless=True)),
    ],
    left_out="gan",
)
DECISIONS = Decisions((0.1, 0.05, 0.01), (WHOLE, LEFT_OUT))


def test_false_attribution_by_set_pooled_and_left_out():
    found = {(e.set, e.left_out, e.alpha): e.rate for e in false_attributions(DECISIONS)}
    counts = {key: (rate.count, rate.total, rate.groups) for key, rate in found.items()}
    assert counts == {
        ("none", False, 0.1): (2, 4, 4),
        ("none", False, 0.05): (1, 4, 4),
        ("none", False, 0.01): (0, 4, 4),
        ("others", False, 0.1): (1, 1, 1),
        ("others", False, 0.05): (1, 1, 1),
        ("others", False, 0.01): (1, 1, 1),
        ("", False, 0.1): (3, 5, 5),
        ("", False, 0.05): (2, 5, 5),
        ("", False, 0.01): (1, 5, 5),
        ("gan", True, 0.1): (2, 4, 2),
        ("gan", True, 0.05): (1, 4, 2),
        ("gan", True, 0.01): (0, 4, 2),
    }
    alone = found["none", False, 0.1]
    assert (alone.low, alone.high) == (alone.grouped_low, alone.grouped_high)


def test_power_counts_what_is_attributed_with_a_true_source_first():
    found = {(e.set, e.alpha): e for e in powers(DECISIONS)}
    counts = {
        key: (e.attributed.count, e.power.count, e.wrongly_named.count, e.fully_named.count)
        for key, e in found.items()
    }
    assert counts == {
        ("gan", 0.1): (3, 2, 2, 1),
        ("gan", 0.05): (3, 2, 2, 1),
        ("gan", 0.01): (2, 2, 1, 1),
        ("splice", 0.1): (1, 0, 1, 1),
        ("splice", 0.05): (1, 0, 1, 0),
        ("splice", 0.01): (1, 0, 1, 0),
    }
    wrong = found["gan", 0.1].misattribution
    assert (wrong.count, wrong.total, wrong.groups) == (1, 3, 2)
    assert found["splice", 0.1].power.groups == 1  # source d joins its two queries
    assert found["splice", 0.1].power.grouped_low is None


def test_nothing_attributed_has_no_rate_of_misattribution():
    quiet = answers([(case("gan", "a"), judged(0.9)), (case("gan", "b"), judged(0.8))])
    (found,) = powers(Decisions((0.1,), (quiet,)))
    assert found.misattribution is None
    assert found.power.count == 0
    assert false_attributions(Decisions((0.1,), (quiet,))) == ()


def test_false_discovery_is_that_of_a_mixture_drawn_at_random():
    rng = np.random.default_rng(0)
    false, attributed, power, prevalence = 0.05, 0.8, 0.7, 0.1
    has_source = rng.random(400_000) < prevalence
    named = rng.random(400_000) < np.where(has_source, attributed, false)
    right = has_source & named & (rng.random(400_000) < power / attributed)
    expected = (named & ~right).sum() / named.sum()
    found = false_discovery_proportion(false, attributed, power, prevalence)
    assert found == pytest.approx(expected, abs=0.005)


def test_false_discovery_uses_all_queries_without_source_and_both_ends_of_their_interval():
    false, found = false_attributions(DECISIONS), powers(DECISIONS)
    rows = false_discoveries(false, found)
    assert len(rows) == 2 * 3 * len(PREVALENCES)
    row = next(e for e in rows if (e.set, e.alpha, e.prevalence) == ("gan", 0.1, 0.1))
    low, high = clopper_pearson(3, 5)

    def proportion(rate):
        return (0.9 * rate + 0.1 * 0.25) / (0.9 * rate + 0.1 * 0.75)

    assert row.value == pytest.approx(proportion(0.6))
    assert (row.low, row.high) == pytest.approx((proportion(low), proportion(high)))


def test_where_nothing_is_attributed_nothing_is_discovered():
    assert false_discovery_proportion(0.0, 0.0, 0.0, 0.5) is None
    assert false_discovery_proportion(0.1, 0.0, 0.0, 0.5) == 1.0
    assert false_discovery_proportion(0.0, 0.9, 0.9, 0.01) == 0.0


def test_a_list_holds_a_true_source_where_its_place_is_within():
    found = answers(
        [
            (case("gan", "a"), listed(1, 1, 2)),
            (case("gan", "b"), listed(2, 1, 2)),
            (case("gan", "c"), listed(3, 2, 3)),
            (case("gan", "d"), listed(0, 1, 5)),  # none was listed at all
            (case("none"), replace(judged(0.5, sourceless=True), lengths=(9, 9))),
        ]
    )
    short, long = listings(Decisions((0.1,), (found,), (0.8, 0.9)))
    assert (short.set, short.recall, long.recall) == ("gan", 0.8, 0.9)
    assert (short.holding.count, short.holding.total) == (1, 4)
    assert (short.median, short.mean) == (1.0, 1.25)
    assert (long.holding.count, long.median, long.mean) == (3, 2.5, 3.0)
