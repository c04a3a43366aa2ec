"""From the records of trainings to a table: weights chosen, means with intervals, and signs.

A figure is a function of a test's samples, so that samples can be drawn again. Intervals are of a
bootstrap over seeds and, within each seed that is drawn, over the units that its samples belong
to; all arms of a seed were tested on the same samples and are drawn together, so differences are
paired. With five seeds such an interval is too narrow in what seeds add, by sqrt(4 / 5).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from arms import ARMS, GUIDED, for_a_mean, middle
from numpy.typing import NDArray
from trainings import Record, arrays

Values = NDArray[np.float64]
Statistic = Callable[[Mapping[str, Values], Values], float]
"""From the samples of a run and how often each counts to a figure."""
DRAWS = 1_000
COMPARED = (
    ("synthesis", "no synthesis"),
    ("true", "synthesis"),
    ("true", "random"),
    ("true", "full"),
    ("random", "synthesis"),
    ("full", "synthesis"),
)

PATTERN = ("true", "synthesis", "random", "full")
"""The paper's order as a whole: the first above the second, and that above both of the others."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a table shows.

    Attributes:
        title: of the table.
        endpoint: the primary one, named before the runs; weights are chosen by it.
        statistics: of each figure that has an interval. `endpoint` is one of them.
        weights: the grid.
        elements: of one input, for the weights of a mean.
    """

    title: str
    endpoint: str
    statistics: Mapping[str, Statistic]
    weights: Sequence[float]
    elements: int


def mean_of(name: str) -> Statistic:
    """The mean of one kind of sample."""
    return lambda samples, times: float(np.average(samples[name], weights=times))


def worst_group(samples: Mapping[str, Values], times: Values) -> float:
    """The least mean of `right` of any `group` that has samples."""
    groups = samples["group"].astype(int)
    counts = np.bincount(groups, weights=times)
    sums = np.bincount(groups, weights=times * samples["right"])
    return float((sums[counts > 0] / counts[counts > 0]).min())


def worst_of(samples: Mapping[str, Sequence[float]]) -> float:
    """`worst_group` of a record's samples, each once."""
    return worst_group(arrays(samples), np.ones(len(samples["right"])))


def chosen_weights(records: Sequence[Record]) -> dict[str, float]:
    """Of each arm the weight whose validation figure, averaged over seeds, is largest."""
    found: dict[tuple[str, float], list[float]] = {}
    for record in records:
        if not record["noise"]:
            found.setdefault((record["arm"], record["weight"]), []).append(record["validation"])
    best: dict[str, tuple[float, float]] = {}
    for (arm, weight), values in found.items():
        best[arm] = max(best.get(arm, (-np.inf, 0.0)), (fmean(values), weight))
    return {arm: weight for arm, (_, weight) in best.items()}


def summary(plan: Plan, records: Sequence[Record], draws: int) -> dict[str, Any]:
    """Levels and differences of arms, of every weight and of noisy masks, with 95 % intervals."""
    weights = chosen_weights(records)
    drawn: dict[Any, dict[str, tuple[float, Values]]] = {}
    for key in sorted({_key(record) for record in records}, key=str):
        own = sorted((r for r in records if _key(r) == key), key=lambda r: r["seed"])
        drawn[key] = resampled(plan.statistics, own, draws)

    def of(arm: str) -> tuple[str, float, float]:
        return arm, weights[arm], 0.0

    def level(key: Any) -> dict[str, Any]:
        return {name: interval(*drawn[key][name]) for name in plan.statistics}

    def difference(first: Any, second: Any) -> dict[str, Any]:
        pairs = {name: (drawn[first][name], drawn[second][name]) for name in plan.statistics}
        return {name: interval(a[0] - b[0], a[1] - b[1]) for name, (a, b) in pairs.items()}

    arms = [arm for arm in ARMS if arm in weights]
    base = of("synthesis")
    at_middle = ("true", middle(plan.weights), 0.0)
    noisy = [key for key in drawn if key[2]]
    pattern = {"true", "random", "full"} <= set(arms)
    ordered = _ordered(*(drawn[of(arm)][plan.endpoint] for arm in PATTERN)) if pattern else None
    return {
        "title": plan.title,
        "endpoint": plan.endpoint,
        "seeds": sorted({record["seed"] for record in records}),
        "weights": {
            arm: {"sum": weight, "mean": for_a_mean(weight, plan.elements)}
            for arm, weight in weights.items()
            if arm in GUIDED
        },
        "grid": [{"sum": w, "mean": for_a_mean(w, plan.elements)} for w in plan.weights],
        "levels": {arm: level(of(arm)) for arm in arms},
        "cpu_seconds_epoch": {
            arm: fmean(r["cpu_seconds_epoch"] for r in records if _key(r) == of(arm))
            for arm in arms
        },
        "differences": {
            f"{a} - {b}": difference(of(a), of(b)) for a, b in COMPARED if {a, b} <= set(arms)
        },
        "every_weight": {
            f"{arm} {weight:g} - synthesis": difference((arm, weight, 0.0), base)
            for arm in arms
            if arm in GUIDED
            for weight in plan.weights
        },
        "pattern": ordered,
        "noisy_masks": {f"{key[2]:+g}": difference(key, at_middle) for key in noisy},
    }


def markdown(found: Mapping[str, Any]) -> str:
    """The summary as tables for a page."""
    figures = list(next(iter(found["levels"].values())))
    lines = [f"{found['title']}, {len(found['seeds'])} seeds. Primary: {found['endpoint']}.", ""]
    lines += head("arm", [*figures, "CPU s an epoch"])
    for arm, levels in found["levels"].items():
        cells = [cell(levels[name]) for name in figures]
        lines.append(line(arm, [*cells, f"{found['cpu_seconds_epoch'][arm]:.1f}"]))
    for part, name in (
        ("differences", "difference"),
        ("every_weight", "every weight"),
        ("noisy_masks", "masks changed, against exact ones"),
    ):
        if found[part]:
            lines += ["", *head(name, figures)]
            lines += [
                line(key, [cell(row[each], sign="+") for each in figures])
                for key, row in found[part].items()
            ]
    if found["pattern"]:
        share = found["pattern"]["share_of_resamples"]
        lines += ["", f"True above synthesis above both controls in {share:.0%} of the resamples."]
    grid = ", ".join(f"{each['sum']:g} ({each['mean']:.4g})" for each in found["grid"])
    chosen = ", ".join(f"{arm} {each['sum']:g}" for arm, each in found["weights"].items())
    lines += ["", f"Weights for a sum over an input (for a mean): {grid}. Chosen: {chosen}."]
    return "\n".join(lines)


def publish(plan: Plan, records: Sequence[Record], folder: Path, out: Path | None) -> None:
    """Print the table and keep it; see `keep`."""
    found = summary(plan, records, DRAWS)
    keep(found, markdown(found), records, folder, out)


def keep(
    found: Mapping[str, Any],
    text: str,
    records: Sequence[Record],
    folder: Path,
    out: Path | None,
) -> None:
    """Print a table; write it into the folder of the runs, and with all figures to `out`."""
    print("\n" + text)
    (folder / "table.md").write_text(text + "\n")
    (folder / "table.json").write_text(json.dumps(found, indent=1) + "\n")
    if out is not None:
        kept = [{name: r[name] for name in r if name != "samples"} for r in records]
        out.write_text(json.dumps({**found, "runs": kept}, indent=1) + "\n")


def _key(record: Record) -> tuple[str, float, float]:
    return record["arm"], record["weight"], record["noise"]


def resampled(
    statistics: Mapping[str, Statistic], own: Sequence[Record], draws: int
) -> dict[str, tuple[float, Values]]:
    """Of each figure the mean over seeds, and `(draws,)` of it drawn again."""
    exact: dict[str, list[float]] = {name: [] for name in statistics}
    within: dict[str, list[list[float]]] = {name: [] for name in statistics}
    for record in own:
        samples = arrays(record["samples"])
        units = samples.get("unit", np.arange(len(next(iter(samples.values()))))).astype(int)
        _, places = np.unique(units, return_inverse=True)
        number = places.max() + 1
        rng = np.random.default_rng(record["seed"])
        ones = np.ones(len(places))
        times = [rng.multinomial(number, np.full(number, 1 / number)) for _ in range(draws)]
        for name, statistic in statistics.items():
            exact[name].append(statistic(samples, ones))
            within[name].append([statistic(samples, each[places].astype(float)) for each in times])
    seeds = np.random.default_rng(0).integers(len(own), size=(draws, len(own)))
    columns = np.arange(draws)[:, None]
    return {
        name: (fmean(exact[name]), np.array(within[name])[seeds, columns].mean(axis=1))
        for name in statistics
    }


def _ordered(*found: tuple[float, Values]) -> dict[str, Any]:
    """Whether the means are in the order of `PATTERN`, and in which share of the resamples."""
    true, base, *controls = (each[1] for each in found)
    holds = (true > base) & (base > np.maximum(*controls))
    means = [each[0] for each in found]
    return {
        "means_in_order": means[0] > means[1] > max(means[2:]),
        "share_of_resamples": round(float(holds.mean()), 4),
    }


def interval(value: float, drawn: Values) -> list[float]:
    """A value and its 95 % interval by what was drawn again."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [round(float(each), 5) for each in (value, low, high)]


def cell(found: Sequence[float], sign: str = "") -> str:
    """A value with its interval, to read."""
    value, low, high = (f"{each:{sign}.3f}" for each in found)
    return f"{value} ({low} to {high})"


def head(first: str, others: Sequence[str]) -> list[str]:
    """The first two lines of a table."""
    return [line(first, others), "|" + "---|" * (1 + len(others))]


def line(first: str, cells: Sequence[str]) -> str:
    """One more."""
    return "| " + " | ".join([first, *cells]) + " |"
