"""What was measured of engines is remembered for a day, so that not every command measures.

Beside the exported network; where nothing can be written, it is measured again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from models.engine import Rate
from models.processor import processor_name

KEPT = timedelta(days=1)


class Circumstances(BaseModel):
    """What rates depend on, besides what else the machine does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    threads: int
    versions: dict[str, str]
    graph_sha256: str

    @classmethod
    def here(cls, graph_sha256: str) -> Circumstances:
        """Those of this process."""
        return cls(
            processor=processor_name(),
            threads=torch.get_num_threads(),
            versions={name: version(name) for name in ("onnxruntime", "torch")},
            graph_sha256=graph_sha256,
        )


class Measured(BaseModel):
    """What was measured, when, and in which circumstances."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    here: Circumstances
    rates: tuple[Rate, ...]


def remember(path: Path, here: Circumstances, rates: tuple[Rate, ...]) -> None:
    """Keep rates for `remembered`, where the folder can be written."""
    measured = Measured(at=datetime.now(UTC), here=here, rates=rates)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        aside.write_text(measured.model_dump_json(indent=2) + "\n", encoding="utf-8")
        aside.replace(path)


def remembered(path: Path, here: Circumstances) -> tuple[Rate, ...] | None:
    """Rates of the last day in the same circumstances; None where there are none."""
    try:
        measured = Measured.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    fresh = timedelta() <= datetime.now(UTC) - measured.at < KEPT
    return measured.rates if fresh and measured.here == here else None
