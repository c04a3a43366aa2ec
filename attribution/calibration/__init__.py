"""From scores to p-values, a decision and shares. Knows the background, not HTTP."""

from attribution.calibration.calibration import (
    AlphaTooSmall,
    Calibrated,
    Calibration,
    CalibrationReport,
    background_id,
)
from attribution.calibration.null import Null, StratumNull

__all__ = [
    "AlphaTooSmall",
    "Calibrated",
    "Calibration",
    "CalibrationReport",
    "Null",
    "StratumNull",
    "background_id",
]
