"""A file for each training of a table, and how one is trained; what is done is not repeated."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from arms import Trial
from numpy.typing import NDArray
from refusals import Unusable
from torch import Generator, Tensor, nn

from attribution.files import replacing

Record = dict[str, Any]
"""`arm`, `seed`, `weight`, `noise` of a trial, its `validation` figure, `figures` of the test,
`samples`: of each figure a list with a value a test sample, and `cpu_seconds_epoch`."""


class OtherSettings(Unusable):
    """The folder holds results of a table with other settings."""


def keep_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write down what a folder's results are of, or see that they are of the same.

    Raises:
        OtherSettings: they are not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, text = folder / "settings.json", json.dumps(settings, indent=2)
    if path.exists() and path.read_text() != text:
        raise OtherSettings(f"{folder} holds results of other settings: name another with --runs")
    _write(path, text)


def run_all(
    folder: Path,
    wanted: Iterable[Trial],
    run: Callable[[Trial], Record],
    *,
    only: Sequence[int] | None = None,
) -> list[Record]:
    """The record of every trial of the seeds that are complete.

    Args:
        folder: of a file a trial.
        wanted: all trials of the table.
        run: makes a record where there is no file.
        only: seeds that are run; what others have done is read. None: all.
    """
    records: dict[int, list[Record]] = {}
    incomplete = set()
    for trial in wanted:
        path = folder / f"{trial.name}.json"
        if not path.exists() and (only is None or trial.seed in only):
            record = asdict(trial) | run(trial)
            _write(path, json.dumps(record))
            shown = "  ".join(f"{name} {value:.3f}" for name, value in record["figures"].items())
            print(f"{time.strftime('%H:%M')} {trial.name:28} {shown}", flush=True)
        if path.exists():
            records.setdefault(trial.seed, []).append(json.loads(path.read_text()))
        else:
            incomplete.add(trial.seed)
    return [each for seed in sorted(set(records) - incomplete) for each in records[seed]]


class Pace(Protocol):
    """How long a training is, and how fast; of a table's scale, or of a command."""

    @property
    def epochs(self) -> int:
        """How often all samples are seen, but for what does not fill a batch."""

    @property
    def batch(self) -> int:
        """Samples a step, where there are as many."""

    @property
    def rate(self) -> float:
        """The highest learning rate, of one cycle."""


def fit(
    model: nn.Module,
    loss: Callable[[Tensor, Generator], Tensor],
    trial: Trial,
    count: int,
    pace: Pace,
) -> float:
    """Train a network, which every arm of a seed starts alike, and return CPU seconds an epoch.

    Args:
        model: in training mode; afterwards in evaluation mode.
        loss: of the rows of a batch, with a generator of whatever else is drawn.
        trial: whose seed orders and draws are of.
        count: samples to train on.
        pace: how long, and how fast.
    """
    epochs, batch, seed = pace.epochs, min(pace.batch, count), trial.seed
    optimizer = torch.optim.AdamW(model.parameters(), pace.rate, weight_decay=0.05)
    steps = count // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, pace.rate, epochs * steps)
    started = time.process_time()
    for epoch in range(epochs):
        order = torch.randperm(count, generator=Generator().manual_seed(seed * 1_009 + epoch))
        for step, rows in enumerate(order[: steps * batch].split(batch)):
            draw = Generator().manual_seed(seed * 1_000_003 + epoch * steps + step)
            optimizer.zero_grad()
            loss(rows, draw).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    return (time.process_time() - started) / epochs


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a command says of a training.

    Attributes:
        side: of a picture in pixels, where samples are pictures.
        epochs: see `Pace`.
        batch: see `Pace`.
        rate: see `Pace`.
        timm: name of another network than the tables' own.
        weights: file of that network's weights.
    """

    side: int
    epochs: int
    batch: int
    rate: float
    timm: str | None = None
    weights: Path | None = None


def rounded(values: Tensor | Sequence[float], digits: int = 4) -> list[float]:
    """Values for a file."""
    return [round(float(value), digits) for value in values]


def arrays(samples: Mapping[str, Sequence[float]]) -> dict[str, NDArray[np.float64]]:
    """The samples of a record, as its figures are computed of."""
    return {name: np.array(each, float) for name, each in samples.items()}


def _write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())
