"""The recipe of `attribution train`: a file, what options say instead, and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.cli.failures import BadInvocation
from attribution.training.checkpoint import CHECKPOINT
from attribution.training.config import TrainingConfig, read_config
from attribution.training.preflight import UnfitRun, check_run
from models.backbones.residual import ResidualNet
from models.encoder import weights_digest

RECIPE = "recipe.json"
"""In the folder of a run."""
HELD_OUT = 512


def choose_recipe(
    path: Path | None, start: ResidualNet | None, steps: int | None, options: dict[str, Any]
) -> TrainingConfig:
    """The recipe of a file with what the command line says instead.

    Args:
        path: of the file; the default recipe for None.
        start: network that the run starts from; it decides on the architecture.
        steps: scale the recipe to about so many.
        options: by field of the recipe; None where an option was left out.

    Raises:
        BadInvocation: an option is out of range, or options exclude each other.
    """
    changes = {name: value for name, value in options.items() if value is not None}
    weight = changes.get("disentanglement_weight")
    if changes.get("disentanglement") == "none" and weight:
        raise BadInvocation("--disentanglement none has no --disentanglement-weight: give one")
    if weight == 0 and changes.get("disentanglement", "none") != "none":
        raise BadInvocation("--disentanglement-weight 0 is --disentanglement none: give that")
    if start is not None:
        changes |= {
            "widths": start.widths,
            "blocks": start.blocks,
            "initial": weights_digest(start),
        }
    try:
        recipe = TrainingConfig.model_validate(read_config(path).model_dump() | changes)
    except ValidationError as error:
        wrong = [_complaint(problem["loc"], problem["msg"]) for problem in error.errors()]
        raise BadInvocation("\n".join(wrong)) from error
    return recipe if steps is None else recipe.scaled(steps)


def _complaint(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not place:
        return message
    return "--" + str(place[0]).replace("_", "-") + ": " + message


def images_to_hold_out(given: int | None, path: Path | None, folder: Path) -> int:
    """By the option, the recipe's file or the run that is resumed, whichever says so first."""
    if given is not None:
        return given
    recipe = read_config(path)
    if "held_out" in recipe.model_fields_set:
        return recipe.held_out
    if (folder / CHECKPOINT).exists() and (folder / RECIPE).exists():
        return read_config(folder / RECIPE).held_out
    return HELD_OUT


def refuse_unfit(recipe: TrainingConfig, device: str, processes: int = 1) -> None:
    """Refuse what cannot run here, before images are read."""
    try:
        check_run(recipe, device, processes)
    except UnfitRun as error:
        raise BadInvocation(str(error)) from error


def refuse_beside_head(**options: object) -> None:
    """Refuse what has no meaning where only a head is made."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise BadInvocation(f"--scope head has no {' and no '.join(given)}: leave it out")
