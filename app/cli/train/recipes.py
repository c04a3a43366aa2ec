"""The recipe of `attribution train`: a file, what options say instead, and what cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.cli.failures import BadInvocation
from attribution.training.recipe.config import TrainingConfig, read_config
from attribution.training.recipe.plans import HeadKind
from attribution.training.recipe.preflight import UnfitRun, check_device, check_run
from attribution.training.run.checkpoint import CHECKPOINT
from models.backbones.residual import ResidualNet
from models.checkpoints import load_backbone
from models.encoder import weights_digest
from models.loading import encoder_folder

RECIPE = "recipe.json"
"""In the folder of a run."""
HELD_OUT = 512


def choose_recipe(
    path: Path | None, start: ResidualNet | None, steps: int | None, options: Mapping[str, Any]
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
    changes, stated = given(options), read_config(path)
    if start is not None:
        _refuse_other_network(stated, start)
        changes |= {
            "widths": start.widths,
            "blocks": start.blocks,
            "initial": weights_digest(start),
        }
    with complaints_by_option():
        recipe = TrainingConfig.model_validate(stated.model_dump() | changes)
    if changes.get("disentanglement_weight") and recipe.disentanglement == "none":
        raise BadInvocation("--disentanglement-weight is of nothing: give --disentanglement too")
    if changes.get("provenance_mask") and recipe.provenance_weight == 0:
        raise BadInvocation("--provenance-mask is of nothing: give --provenance-weight too")
    return recipe if steps is None else recipe.scaled(steps)


def network_to_start_from(initial: str | None) -> ResidualNet | None:
    """The network of `bundled` or of an encoder's folder.

    Raises:
        BadInvocation: there is no such folder.
    """
    if initial is None:
        return None
    folder = encoder_folder(initial)
    if folder is None:
        raise BadInvocation(
            f"--from {initial}: give `bundled` or the folder of an encoder; a backbone by its name "
            "goes with --scope head"
        )
    return load_backbone(folder)


def _refuse_other_network(stated: TrainingConfig, start: ResidualNet) -> None:
    for field, own in (("widths", start.widths), ("blocks", start.blocks)):
        if field in stated.model_fields_set and getattr(stated, field) != own:
            raise BadInvocation(
                f"--config asks for {field} {getattr(stated, field)}, but the encoder given as "
                f"--from has {own}: leave {field} out of the recipe"
            )


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were not left out, without contradictions.

    Raises:
        BadInvocation: a disentanglement without weight, or a weight without disentanglement.
    """
    changes = {name: value for name, value in options.items() if value is not None}
    weight = changes.get("disentanglement_weight")
    if changes.get("disentanglement") == "none" and weight:
        raise BadInvocation("--disentanglement none has no --disentanglement-weight: give one")
    if weight == 0 and changes.get("disentanglement", "none") != "none":
        raise BadInvocation("--disentanglement-weight 0 is --disentanglement none: give that")
    return changes


@contextmanager
def complaints_by_option() -> Iterator[None]:
    """Name the option, not the field of a recipe, where a value is out of range."""
    try:
        yield
    except ValidationError as error:
        wrong = [_complaint(problem["loc"], problem["msg"]) for problem in error.errors()]
        raise BadInvocation("\n".join(wrong)) from error


def _complaint(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not place:
        return message
    return "--" + str(place[0]).replace("_", "-") + ": " + message


def images_to_hold_out(stated: int | None, path: Path | None, folder: Path) -> int:
    """By the option, the recipe's file or the run that is resumed, whichever says so first."""
    if stated is not None:
        return stated
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


def refuse_device(device: str) -> None:
    """Refuse a device that there is not, before images are read."""
    try:
        check_device(device)
    except UnfitRun as error:
        raise BadInvocation(str(error)) from error


def refuse_beside_head(head: HeadKind, *, linear: Mapping[str, object], **network: object) -> None:
    """Refuse what would be ignored where only a head is made.

    Args:
        head: its kind.
        linear: options by field that only a head that is trained has.
        network: options that only a network that learns has.

    Raises:
        BadInvocation: names them and says what to do.
    """
    if options := _options(network):
        raise BadInvocation(
            f"--scope head trains no network, so it has no {options}: leave that out, or give "
            "--scope full"
        )
    if head != "linear" and (options := _options(linear)):
        raise BadInvocation(
            f"--head {head} is not trained, so it has no {options}: leave that out, or give "
            "--head linear"
        )


def refuse_without_head_scope(head: HeadKind, **options: object) -> None:
    """Refuse what only `--scope head` has."""
    if head == "linear":
        raise BadInvocation("--head linear goes with --scope head")
    if named := _options(options):
        raise BadInvocation(f"without --scope head there is no {named}: leave that out")


def refuse_beside_head_kind(
    head: HeadKind, *, components: int | None, head_images: int | None
) -> None:
    """Refuse what a kind of head would ignore."""
    if components is not None and head in ("none", "linear"):
        raise BadInvocation(f"--head {head} keeps all directions: leave out --components")
    if head_images is not None and head == "none":
        raise BadInvocation("--head none is fitted on nothing: leave out --head-images")


def refuse_own_replacement(initial: str | None, out_folder: Path) -> None:
    """Refuse a run that would end by replacing the encoder that it starts from."""
    if initial is not None and Path(initial).resolve() == (out_folder / "encoder").resolve():
        raise BadInvocation(
            f"--out {out_folder} would replace the encoder given as --from: choose another --out"
        )


def _options(values: Mapping[str, object]) -> str:
    """Names of those that were given; an empty list is none."""
    chosen = [name for name, value in values.items() if value is not None and value != []]
    return " and no ".join(f"--{name.replace('_', '-')}" for name in chosen)
