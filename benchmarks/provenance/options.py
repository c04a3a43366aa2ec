"""What every table's command takes, and where its files go."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from refusals import count
from trainings import keep_settings


def add_options(
    parser: argparse.ArgumentParser, table: str, runs: str = "runs/provenance"
) -> argparse.ArgumentParser:
    """The options that all tables share."""
    parser.set_defaults(table=table)
    parser.add_argument("--out", type=Path, help="JSON file of the table and of every run")
    parser.add_argument(
        "--runs", type=Path, default=Path(runs), help="folder of finished trainings"
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="train these only")
    parser.add_argument("--threads", type=count, default=os.cpu_count() or 1)
    return parser


def begin(arguments: argparse.Namespace, settings: Mapping[str, Any]) -> Path:
    """Set the threads, and return the folder of this table's runs."""
    torch.set_num_threads(arguments.threads)
    quick = "-quick" if getattr(arguments, "quick", False) else ""
    folder: Path = arguments.runs / f"{arguments.table}{quick}"
    keep_settings(folder, settings)
    return folder
