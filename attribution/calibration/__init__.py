"""From scores to p-values, a decision and shares. Knows the background, not HTTP."""

from __future__ import annotations

from attribution.calibration.calibration import (
    AlphaTooSmall,
    Calibrated,
    Calibration,
    CalibrationReport,
)
from attribution.calibration.kept import null_id
from attribution.calibration.null import SMALLEST_STRATUM, Null, StratumNull

__all__ = [
    "SMALLEST_STRATUM",
    "AlphaTooSmall",
    "Calibrated",
    "Calibration",
    "CalibrationReport",
    "Null",
    "StratumNull",
    "null_id",
]
