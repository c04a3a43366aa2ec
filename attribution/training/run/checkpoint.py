"""What a killed run needs to go on as if nothing had happened, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from attribution.files import replacing
from attribution.training.recipe.config import TrainingConfig
from attribution.training.run.state import Run
from models.published.untrusted import UNREADABLE

CHECKPOINT = "checkpoint.pt"


class ForeignRun(ValueError):
    """The folder holds a checkpoint of another recipe or of other images."""


class DamagedRun(ValueError):
    """The folder's checkpoint cannot be read; the message says what to do."""


def save_run(run: Run, step: int, folder: Path) -> None:
    """Write the state after `step` steps in place of the last one, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    infomax = run.objective.infomax
    state = {
        "config": run.config.model_dump_json(),
        "images": run.digest,
        "step": step,
        "net": run.net.state_dict(),
        "objective": run.objective.alignment.state_dict(),
        "infomax": {} if infomax is None else infomax.state_dict(),
        "recent": [] if infomax is None else infomax.remembered(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scaler": run.precision.scaler.state_dict(),
    }
    with replacing(folder / CHECKPOINT, aside=folder / f"{CHECKPOINT}.new") as file:
        torch.save(state, file)


def resume_run(run: Run, folder: Path, device: str) -> int:
    """Take back what `save_run` wrote and return its step; 0 where nothing was written.

    Raises:
        ForeignRun: another recipe or other images.
        DamagedRun: the file is none of ours, or damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return 0
    kept = _read(path, device)
    if _recipe(kept["config"]) != run.config:
        raise ForeignRun(f"{path} was made by another recipe: choose another --out, or delete it")
    if kept["images"] != run.digest:
        raise ForeignRun(
            f"{path} was trained on other images, perhaps on those now held out: choose "
            "another --out, or delete it"
        )
    run.net.load_state_dict(kept["net"])
    run.objective.alignment.load_state_dict(kept["objective"])
    if run.objective.infomax is not None:
        # Checkpoints from before there was more than the log-determinant lack this one.
        run.objective.infomax.load_state_dict(kept.get("infomax", {}))
        run.objective.infomax.remember(kept["recent"])
    run.average.load_state_dict(kept["average"])
    run.optimizer.load_state_dict(kept["optimizer"])
    if kept.get("scaler"):
        run.precision.scaler.load_state_dict(kept["scaler"])
    step: int = kept["step"]
    return step


def _read(path: Path, device: str) -> dict[str, Any]:
    try:
        kept = torch.load(path, map_location=device, weights_only=True)
    except UNREADABLE as error:
        raise DamagedRun(f"{path} is damaged: delete it to start over") from error
    if not isinstance(kept, dict) or not {"config", "images", "step", "net"} <= kept.keys():
        raise DamagedRun(f"{path} is no checkpoint of a run: choose another --out, or delete it")
    return kept


def _recipe(kept: str) -> TrainingConfig | None:
    """The recipe of a checkpoint, with defaults for fields newer than it; None if unreadable."""
    try:
        return TrainingConfig.model_validate_json(kept)
    except ValidationError:
        return None
