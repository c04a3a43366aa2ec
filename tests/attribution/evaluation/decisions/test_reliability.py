"""Shares against outcomes that were drawn from them, and against those that were not."""

from pathlib import Path

import numpy as np
import pytest

from attribution.calibration.shares.scoring import (
    binary_brier_score,
    binary_log_score,
    equal_mass_calibration_error,
)
from attribution.evaluation.benchmark.cases import Case, Truth
from attribution.evaluation.decisions.answers import Answers, Decisions, Judged
from attribution.evaluation.decisions.reliability import diagram_bins, reliabilities


def drawn(claim, n=600, seed=0):
    """Answers whose share, as `claim` distorts it, is the chance that rank 1 is the source."""
    rng = np.random.default_rng(seed)
    chance = rng.random(n)
    right = rng.random(n) < chance
    cases = tuple(
        Case(Path(f"{number}.png"), (Truth(f"source-{number}"),), "ab"[number % 2])
        for number in range(n)
    )
    found = tuple(
        Judged(0.5, "it", bool(hit), 1.0, 1.0, float(claim(p)), 0.0, float(hit), sourceless=False)
        for p, hit in zip(chance, right, strict=True)
    )
    return Decisions((0.1,), (Answers("clean", None, cases, found),))


def of(decisions, kind):
    return next(e for e in reliabilities(decisions) if (e.kind, e.set) == (kind, ""))


def test_honest_shares_are_calibrated_and_beat_the_constant():
    found = of(drawn(lambda p: p), "rank-1")
    assert found.calibration_error < 0.07
    assert found.brier.difference.high < 0
    assert found.log.difference.high < 0
    assert found.brier.difference.value == pytest.approx(found.brier.value - found.brier.constant)
    assert found.log.difference.value == pytest.approx(found.log.value - found.log.constant)


def test_shares_that_know_nothing_do_not():
    rng = np.random.default_rng(3)
    found = of(drawn(lambda p: rng.random()), "rank-1")
    assert found.calibration_error > 0.15
    assert found.brier.difference.low > 0


def test_figures_are_those_of_the_answers():
    decisions = drawn(lambda p: p**2)
    answers = decisions.answers[0]
    of_sets = {each.set: each for each in reliabilities(decisions) if each.kind == "rank-1"}
    for name in ("", "a", "b"):
        chosen = answers if not name else answers.where(name)
        share, credit = chosen.values("share"), chosen.values("credit")
        found = of_sets[name]
        assert found.queries == len(share)
        assert found.claimed == pytest.approx(share.mean())
        assert found.true == pytest.approx(credit.mean())
        error = sum(e.queries * abs(e.claimed - e.true) for e in found.bins) / len(share)
        assert error == pytest.approx(found.calibration_error)
        assert found.calibration_error == equal_mass_calibration_error(share, credit)
        assert found.brier.value == binary_brier_score(share, credit)
        assert found.log.value == binary_log_score(share, credit)
        assert found.brier.constant == pytest.approx(credit.var())


def test_the_unattributed_share_is_about_queries_without_source():
    cases = (Case(Path("a.png"), (Truth("a"),), "with"), Case(Path("b.png"), (), "without"))
    found = tuple(
        Judged(0.5, "it", right=False, wrong_p_value=1.0, named_p_value=1.0, share=0.1,
               unattributed_share=share, credit=0.0, sourceless=sourceless)
        for share, sourceless in ((0.2, False), (0.7, True))
    )  # fmt: skip
    figures = of(Decisions((0.1,), (Answers("clean", None, cases, found),)), "unattributed")
    assert figures.true == 0.5
    assert figures.brier.value == pytest.approx((0.2**2 + 0.3**2) / 2)


def test_bins_hold_as_many_each_and_rise():
    bins = diagram_bins(np.linspace(1, 0, 23), np.zeros(23))
    assert [each.queries for each in bins] == [3, 3, 3, 2, 2, 2, 2, 2, 2, 2]
    claimed = [each.claimed for each in bins]
    assert claimed == sorted(claimed)
