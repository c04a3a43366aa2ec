"""The numbers of a run over its steps: `metrics.jsonl` and TensorBoard, in the run's folder."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from attribution.files import replacing

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)
METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"


class Journal:
    """Appends lines of metrics, and the same numbers for TensorBoard where that is installed.

    Nothing is written before the first line, so a finished run stays as it is.

    Args:
        folder: of the run.
        step: at which the run goes on; what a killed run had written beyond it is dropped.
        phase: of a recipe of several; lines name it, and those of other phases stay.
    """

    def __init__(self, folder: Path, step: int, phase: str = "") -> None:
        self._folder, self._step, self._phase = folder, step, phase
        self._path = folder / METRICS
        self._writer: SummaryWriter | None = None
        self._opened = False
        self._added: dict[str, list[float]] = defaultdict(list)

    def add(self, values: Mapping[str, float]) -> None:
        """Values of one step, named like `train/loss`; the next line has their means."""
        for name, value in values.items():
            self._added[name].append(value)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One line: the step, the means of what was added since the last line, and `values`."""
        if not self._opened:
            self._open()
        values = {name: fmean(added) for name, added in self._added.items()} | dict(values)
        self._added.clear()
        with self._path.open("a", encoding="utf-8") as file:
            named = {"phase": self._phase} if self._phase else {}
            file.write(json.dumps({**named, "step": step, **values}) + "\n")
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()

    def close(self) -> None:
        """Release the files."""
        if self._writer is not None:
            self._writer.close()

    def _open(self) -> None:
        self._opened = True
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            kept = [line for line in _lines(self._path) if self._stays(json.loads(line))]
            with replacing(self._path, aside=self._folder / f"{METRICS}.new") as file:
                file.write("".join(kept).encode())
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (the extra `train`)
        except ImportError:
            logger.warning(
                'only %s is written: TensorBoard needs the extra: pip install "attribution[train]"',
                self._path,
            )
            return
        folder = self._folder / TENSORBOARD / self._phase
        self._writer = SummaryWriter(folder, purge_step=self._step + 1)

    def _stays(self, line: Mapping[str, Any]) -> bool:
        other: bool = line.get("phase", "") != self._phase
        return other or line["step"] <= self._step


def _lines(path: Path) -> list[str]:
    """Whole lines; one that a kill cut short is left out."""
    text = path.read_text(encoding="utf-8")
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
