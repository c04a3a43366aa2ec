"""From scores to p-values, a decision and shares. Knows the background, not HTTP."""

from attribution.calibration.calibration import AlphaTooSmall, Calibrated, Calibration
from attribution.calibration.null import Null

__all__ = ["AlphaTooSmall", "Calibrated", "Calibration", "Null"]
