"""What these benches and those of `benchmarks/provenance` share, under one roof of imports."""

from __future__ import annotations

import sys
from pathlib import Path

_BESIDE = str(Path(__file__).resolve().parents[1] / "provenance")
if _BESIDE not in sys.path:
    sys.path.append(_BESIDE)

from arms import Trial  # noqa: E402
from layouts import OtherLayout, read_cub, read_indices  # noqa: E402
from network import Classifier  # noqa: E402
from options import add_options, begin  # noqa: E402
from refusals import told  # noqa: E402
from table import DRAWS, cell, head, interval, keep, line, mean_of, resampled  # noqa: E402
from trainings import Record, keep_settings, rounded, run_all  # noqa: E402

__all__ = [
    "DRAWS",
    "Classifier",
    "OtherLayout",
    "Record",
    "Trial",
    "add_options",
    "begin",
    "cell",
    "head",
    "interval",
    "keep",
    "keep_settings",
    "line",
    "mean_of",
    "read_cub",
    "read_indices",
    "resampled",
    "rounded",
    "run_all",
    "told",
]
