"""The pictures of an evaluation of decisions: which curves, and where they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attribution.evaluation.decisions.answers import Decisions
from attribution.evaluation.decisions.p_values import cumulative
from attribution.evaluation.decisions.reliability import CLAIMS
from attribution.evaluation.decisions.report import DecisionReport
from attribution.evaluation.pictures.curves import Axis, Curve, curves_picture

SMALLEST = 0.001
"""Where the logarithmic axes of the false attribution rate begin."""
_POINTS = 2000


def write_decision_pictures(
    report: DecisionReport, decisions: Decisions, folder: Path
) -> tuple[Path, ...]:
    """Write the pictures of a run.

    `p-values-CONDITION.png` (p-p plot of queries without source), `false-attribution-CONDITION.png`
    (the same as a rate over alpha, both logarithmic), `risk-coverage.png`, and
    `reliability-KIND.png` of both kinds of share.

    Args:
        report: the figures.
        decisions: the answers that they are made of.
        folder: created if need be.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for condition in decisions.conditions:
        curves = _null_curves(decisions, condition)
        if curves:
            written += _null_pictures(curves, condition, folder)
    written.append(_risk_picture(report, folder / "risk-coverage.png"))
    written += [_reliability_picture(report, kind, folder) for kind in CLAIMS]
    return tuple(written)


def _null_curves(decisions: Decisions, condition: str) -> dict[str, NDArray[np.float64]]:
    """P-values of each set of queries without source."""
    found = {}
    for answers in decisions.answers:
        if answers.condition != condition:
            continue
        without = answers.where(sourceless=True)
        for name in without.sets:
            label = name if answers.left_out is None else f"{name}, sources left out"
            found[label] = without.where(name).values("p_value")
    return found


def _null_pictures(
    p_values: dict[str, NDArray[np.float64]], condition: str, folder: Path
) -> list[Path]:
    shares = {
        f"{name} ({len(values)})": np.concatenate(
            [[[0.0], [0.0]], _thinned(cumulative(values)), [[1.0], [1.0]]], axis=1
        )
        for name, values in p_values.items()
    }
    logarithmic = {
        name: np.clip(curve[:, curve[1] >= SMALLEST], SMALLEST, 1.0)
        for name, curve in shares.items()
    }
    paths = [folder / f"{kind}-{condition}.png" for kind in ("p-values", "false-attribution")]
    curves_picture(
        shares,
        paths[0],
        across=Axis("p-value"),
        up=Axis("share of queries with at most this p-value"),
        title=f"P-values of {condition} queries without source",
        diagonal="uniform",
        steps=True,
    )
    curves_picture(
        logarithmic,
        paths[1],
        across=Axis("alpha", SMALLEST, logarithmic=True),
        up=Axis("false attribution rate", SMALLEST, logarithmic=True),
        title=f"False attribution of {condition} queries without source",
        diagonal="as promised",
        steps=True,
    )
    return paths


def _risk_picture(report: DecisionReport, path: Path) -> Path:
    curves: dict[str, Curve] = {}
    for condition, found in report.risk.items():
        # Answers that share the smallest p-value have no order: any of them is wrong as often.
        curve = np.array([(0.0, *found.coverage), (found.risk[0], *found.risk)])
        curves[f"{condition}, AURC {found.area:.3f}"] = _thinned(curve)
    curves_picture(
        curves,
        path,
        across=Axis("coverage, smallest p-values first"),
        up=Axis("risk: rank 1 is no true source"),
        title="Risk and coverage",
    )
    return path


def _reliability_picture(report: DecisionReport, kind: str, folder: Path) -> Path:
    curves = {
        f"{each.condition}, error {each.calibration_error:.3f}": np.array(
            [[part.claimed for part in each.bins], [part.true for part in each.bins]]
        )
        for each in report.reliability
        if each.kind == kind and not each.set
    }
    path = folder / f"reliability-{kind}.png"
    curves_picture(
        curves,
        path,
        across=Axis(f"{kind} share, mean of a tenth of the queries"),
        up=Axis("what was true"),
        title=f"Reliability of the {kind} share",
        diagonal="calibrated",
        dots=True,
    )
    return path


def _thinned(curve: Curve) -> Curve:
    """At most so many points, the first and the last among them."""
    places = np.linspace(0, curve.shape[1] - 1, min(_POINTS, curve.shape[1])).round().astype(int)
    thinned: Curve = curve[:, places]
    return thinned
