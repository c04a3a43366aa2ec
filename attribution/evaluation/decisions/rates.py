"""How often decisions are wrong, and how often they find the source. Knows no gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from attribution.evaluation.decisions.answers import Answers, Decisions
from attribution.evaluation.statistics.intervals import Rate, rate

PREVALENCES = (0.01, 0.1, 0.5)


@dataclass(frozen=True, slots=True)
class FalseAttribution:
    """Images without source in the searched gallery that were attributed all the same.

    Attributes:
        condition: what was done to the queries.
        set: their set; empty: all sets that never had sources, where there are several.
        left_out: their sources had been taken out of the gallery.
        alpha: the promised rate.
        rate: the measured one.
    """

    condition: str
    set: str
    left_out: bool
    alpha: float
    rate: Rate


@dataclass(frozen=True, slots=True)
class Power:
    """What became of queries that have sources.

    Attributes:
        condition: what was done to the queries.
        set: their set.
        alpha: of the decision.
        attributed: share that were attributed.
        power: share that were attributed, with a true source at rank 1.
        misattribution: share of the attributed whose rank 1 is not a true source; None where
            nothing was attributed.
        wrongly_named: share of which any source was marked `attributed` that is not a true one.
        fully_named: share of which every true source was marked `attributed`.
    """

    condition: str
    set: str
    alpha: float
    attributed: Rate
    power: Rate
    misattribution: Rate | None
    wrongly_named: Rate
    fully_named: Rate


@dataclass(frozen=True, slots=True)
class Listing:
    """Lists that are to hold a true source of queries that have one.

    Attributes:
        condition: what was done to the queries.
        set: their set.
        recall: the promised rate, of queries like those that it was measured on.
        holding: share whose list held a true source.
        median: sources listed.
        mean: sources listed.
    """

    condition: str
    set: str
    recall: float
    holding: Rate
    median: float
    mean: float


@dataclass(frozen=True, slots=True)
class FalseDiscovery:
    """Share of wrong ones among all attributions, which depends on how common sources are.

    Attributes:
        condition: what was done to the queries.
        set: of the queries with sources; those without are all that the benchmark has.
        alpha: of the decision.
        prevalence: assumed share of queries that have a source.
        value: the proportion; None where nothing is attributed.
        low: with the false attribution rate at the lower end of its interval, all else as
            measured; `high` likewise.
    """

    condition: str
    set: str
    alpha: float
    prevalence: float
    value: float | None
    low: float | None
    high: float | None


def false_attributions(decisions: Decisions) -> tuple[FalseAttribution, ...]:
    """By condition, set and alpha; then the sets whose sources were left out."""
    found = []
    for answers in decisions.answers:
        without = answers.where(sourceless=True)
        pooled = [""] if len(without.sets) > 1 else []
        for name in [*without.sets, *pooled]:
            chosen = without.where(name) if name else without
            groups, p_values = chosen.groups, chosen.values("p_value")
            found += [
                FalseAttribution(
                    answers.condition,
                    name,
                    answers.left_out is not None,
                    alpha,
                    rate(p_values <= alpha, groups),
                )
                for alpha in decisions.alphas
            ]
    return tuple(found)


def powers(decisions: Decisions) -> tuple[Power, ...]:
    """By condition, set and alpha, of queries with sources in the whole gallery."""
    found = []
    for condition in decisions.conditions:
        answers = decisions.whole(condition).where(sourceless=False)
        for name in answers.sets:
            chosen = answers.where(name)
            found += [_power(chosen, name, alpha) for alpha in decisions.alphas]
    return tuple(found)


def _power(answers: Answers, name: str, alpha: float) -> Power:
    groups = answers.groups
    attributed = answers.values("p_value") <= alpha
    right = answers.values("right") > 0
    return Power(
        condition=answers.condition,
        set=name,
        alpha=alpha,
        attributed=rate(attributed, groups),
        power=rate(attributed & right, groups),
        misattribution=rate(~right[attributed], groups[attributed]) if attributed.any() else None,
        wrongly_named=rate(attributed & (answers.values("wrong_p_value") <= alpha), groups),
        fully_named=rate(answers.values("named_p_value") <= alpha, groups),
    )


def listings(decisions: Decisions) -> tuple[Listing, ...]:
    """By condition, set and recall, of queries with sources in the whole gallery."""
    found = []
    for condition in decisions.conditions:
        answers = decisions.whole(condition).where(sourceless=False)
        for name in answers.sets:
            chosen = answers.where(name)
            places = chosen.values("place")
            for column, recall in enumerate(decisions.recalls):
                lengths = np.array([each.lengths[column] for each in chosen.judged])
                holding = rate((places > 0) & (places <= lengths), chosen.groups)
                figures = float(np.median(lengths)), float(lengths.mean())
                found.append(Listing(condition, name, recall, holding, *figures))
    return tuple(found)


def false_discoveries(
    false: Sequence[FalseAttribution], found: Sequence[Power]
) -> tuple[FalseDiscovery, ...]:
    """For each set with sources, against all queries that never had any; none without those."""
    baseline = {
        (each.condition, each.alpha): each.rate  # the pooled rate comes last
        for each in false
        if not each.left_out
    }
    discoveries = []
    for power, prevalence in product(found, PREVALENCES):
        measured = baseline.get((power.condition, power.alpha))
        if measured is None:
            continue
        value, low, high = (
            false_discovery_proportion(each, power.attributed.value, power.power.value, prevalence)
            for each in (measured.value, measured.low, measured.high)
        )
        discoveries.append(
            FalseDiscovery(power.condition, power.set, power.alpha, prevalence, value, low, high)
        )
    return tuple(discoveries)


def false_discovery_proportion(
    false_rate: float, attributed_rate: float, power: float, prevalence: float
) -> float | None:
    r"""Expected share of wrong attributions, where a share pi of queries has a source.

    .. math:: \frac{(1-\pi) F + \pi (A - P)}{(1-\pi) F + \pi A}

    with F the rate of false attribution, A the share of queries with source that are attributed
    and P, the power, that of those attributed with a true source first: A - P is misattributed.

    Returns:
        None where nothing is attributed.
    """
    wrong = (1 - prevalence) * false_rate + prevalence * (attributed_rate - power)
    attributed = (1 - prevalence) * false_rate + prevalence * attributed_rate
    return float(np.clip(wrong / attributed, 0.0, 1.0)) if attributed > 0 else None
