"""From the records of arms to a table: levels and contrasts with intervals, and context in pixels.

Intervals are of a bootstrap over seeds and, within each seed, over the samples that all arms of it
share: test pictures for accuracy, classes for what is measured of images. Contrasts are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from shared import DRAWS, Record, cell, head, interval, keep, line, mean_of, resampled

Contrast = Mapping[str, float]
INTERACTION = "interaction"
CONTRASTS: Mapping[str, Contrast] = {
    INTERACTION: {"both": 1, "preservation": -1, "marginalisation": -1, "neither": 1},
    "both - real only": {"both": 1, "real only": -1},
    "preservation - neither": {"preservation": 1, "neither": -1},
    "marginalisation - neither": {"marginalisation": 1, "neither": -1},
    "both - marginalisation": {"both": 1, "marginalisation": -1},
    "both - preservation": {"both": 1, "preservation": -1},
    "same-class - both": {"same-class": 1, "both": -1},
    "same-class - neither": {"same-class": 1, "neither": -1},
    "list - both": {"list": 1, "both": -1},
}
"""Weighted sums of arms; the first is the primary one."""
PAPER: Mapping[str, float] = {
    "neither": 0.6800, "preservation": 0.6590, "marginalisation": 0.7013, "both": 0.7378,
    "same-class": 0.6438, "list": 0.7210,
}  # fmt: skip
"""Accuracy on Aircraft, ten shots, ResNet-50."""
OF_CLASSES = ("frechet", "recall", "precision", "faithful")


def summary(records: Sequence[Record], draws: int = DRAWS) -> dict[str, Any]:
    """Levels of arms, contrasts, and the tests of context, over the seeds that are complete."""
    arms = list(dict.fromkeys(record["arm"] for record in records))
    drawn: dict[str, dict[str, Any]] = {}
    for arm in arms:
        own = sorted((r for r in records if r["arm"] == arm), key=lambda r: r["seed"])
        of_classes = [{"seed": r["seed"], "samples": r["classes"]} for r in own]
        drawn[arm] = resampled({"accuracy": mean_of("right")}, own, draws)
        drawn[arm] |= resampled({name: mean_of(name) for name in OF_CLASSES}, of_classes, draws)

    def contrast(weights: Contrast, name: str) -> list[float]:
        parts = [(weight, drawn[arm][name]) for arm, weight in weights.items()]
        value = sum(weight * found[0] for weight, found in parts)
        return interval(value, sum(weight * found[1] for weight, found in parts))

    figures = ("accuracy", *OF_CLASSES)
    return {
        "endpoint": f"{INTERACTION} in accuracy",
        "seeds": sorted({record["seed"] for record in records}),
        "levels": {
            arm: {name: interval(*drawn[arm][name]) for name in figures} for arm in arms
        },
        "contrasts": {
            name: {figure: contrast(weights, figure) for figure in figures}
            for name, weights in CONTRASTS.items()
            if set(weights) <= set(arms)
        },
        "context": _context(records),
        "judge": [record["about"]["judge"] for record in records if "judge" in record["about"]],
        "left_out": {arm: sum(r["about"]["left_out"] for r in records if r["arm"] == arm)
                     for arm in arms},
        "cpu_seconds": {
            arm: {part: round(fmean(r["cpu_seconds"][part] for r in records if r["arm"] == arm), 1)
                  for part in ("making", "classifying")}
            for arm in arms
        },
        "paper": PAPER,
    }  # fmt: skip


def _context(records: Sequence[Record]) -> dict[str, Any]:
    """Of each arm's images, of the few real ones and of as many as an arm has, seed by seed."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for record in sorted(records, key=lambda r: r["seed"]):
        if "few" in record["about"]:
            rows.setdefault("the few real", []).append(record["about"]["few"])
        arm = "other real" if record["arm"] == "real only" else record["arm"]
        rows.setdefault(arm, []).append(record["about"])
    return {
        arm: {
            part: {
                "information": fmean(each[part]["information"] for each in found),
                "expected": fmean(each[part]["expected"] for each in found),
                "p_values": [each[part]["p_value"] for each in found],
            }
            for part in ("texture", "pose")
        }
        for arm, found in rows.items()
    }


def markdown(found: Mapping[str, Any]) -> str:
    """The summary as tables for a page."""
    figures = ["accuracy", *OF_CLASSES]
    lines = [f"{len(found['seeds'])} seeds. Primary: {found['endpoint']}.", ""]
    lines += head("arm", [*figures, "left out", "the paper's accuracy"])
    for arm, levels in found["levels"].items():
        paper = f"{found['paper'][arm]:.3f}" if arm in found["paper"] else ""
        cells = [cell(levels[name]) for name in figures]
        lines.append(line(arm, [*cells, str(found["left_out"][arm]), paper]))
    lines += ["", *head("contrast", figures)]
    lines += [line(name, [cell(row[each], sign="+") for each in figures])
              for name, row in found["contrasts"].items()]  # fmt: skip
    lines += ["", *head("class and context in pixels", ["texture", "p", "pose", "p"])]
    for arm, row in found["context"].items():
        cells = []
        for part in ("texture", "pose"):
            own = row[part]
            cells.append(f"{own['information']:.3f} (by chance {own['expected']:.3f})")
            cells.append(", ".join(f"{value:.3f}" for value in own["p_values"]))
        lines.append(line(arm, cells))
    for name in ("class", "texture", "pose"):
        if found["judge"]:
            share = fmean(each[name] for each in found["judge"])
            lines += ["", f"Of test pictures the judge finds the {name} in {share:.1%}."]
    return "\n".join(lines)


def publish(records: Sequence[Record], folder: Path, out: Path | None) -> None:
    """Print the table and keep it; see `keep`."""
    found = summary(records)
    keep(found, markdown(found), records, folder, out)
