"""The recipe of `attribution train`: a file, what options say instead, and what cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.cli.failures import BadInvocation
from app.cli.options import complaints_by_option
from app.cli.train.start import Start
from attribution.training.recipe.config import OWN, TrainingConfig
from attribution.training.recipe.plans import HeadKind
from attribution.training.recipe.preflight import UnfitRun, check_device, check_run
from attribution.training.recipe.recipes import Recipe, read_config
from attribution.training.run.checkpoint import CHECKPOINT
from models.backbones.features import Backbone
from models.encoder import weights_digest

RECIPE = "recipe.json"
"""In the folder of a run."""
HELD_OUT = 512


LAST_PHASE = ("disentanglement", "disentanglement_weight", "projector")
"""Options that change the last phase of a recipe only: the one that disentangles."""


def choose_recipe(
    stated: Recipe, start: Start | None, steps: int | None, options: Mapping[str, Any]
) -> Recipe:
    """A recipe with what the command line says instead.

    Args:
        stated: the recipe.
        start: that the run starts from; it decides on the architecture.
        steps: scale the recipe to about so many.
        options: by field of the recipe; None where an option was left out.

    Raises:
        BadInvocation: an option is out of range, or options exclude each other.
    """
    changes = given(options)
    names = list(stated.phases)
    phases: dict[str, TrainingConfig] = {}
    for place, (name, phase) in enumerate(stated.phases.items()):
        own = {
            field: value
            for field, value in changes.items()
            if field not in LAST_PHASE or place == len(names) - 1
        }
        own |= _of_start(phase, start)
        own |= {"initial": names[place - 1]} if place else {}
        with complaints_by_option():
            phases[name] = TrainingConfig.model_validate(phase.model_dump() | own)
    recipe = stated.changed(phases)
    _refuse_of_nothing(changes, list(phases.values()))
    return recipe if steps is None else recipe.scaled(steps)


def _refuse_of_nothing(changes: Mapping[str, Any], phases: Sequence[TrainingConfig]) -> None:
    if changes.get("disentanglement_weight") and phases[-1].disentanglement == "none":
        raise BadInvocation("--disentanglement-weight is of nothing: give --disentanglement too")
    if changes.get("provenance_mask") and phases[-1].provenance_weight == 0:
        raise BadInvocation("--provenance-mask is of nothing: give --provenance-weight too")


def _of_start(phase: TrainingConfig, start: Start | None) -> dict[str, Any]:
    """Fields of a phase that follow from what the run starts from.

    Raises:
        BadInvocation: the recipe is of another network.
    """
    if start is None:
        if phase.backbone != OWN:
            raise BadInvocation(f"the recipe is of {phase.backbone}: give --from {phase.backbone}")
        return {}
    fields = start.fields
    for field, own in fields.items():
        if field in phase.model_fields_set and getattr(phase, field) != own:
            raise BadInvocation(
                f"the recipe asks for {field} {getattr(phase, field)}, but what is given as --from "
                f"has {own}: leave {field} out of the recipe"
            )
    changes: dict[str, Any] = fields | {"initial": weights_digest(start.net)}
    if len(start.net.projections) == 1:
        changes["role_weight"] = 0.0
    if start.card is not None and "image_side" not in phase.model_fields_set:
        changes["image_side"] = start.card.preprocessing.height
    return changes


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


def images_to_hold_out(stated: int | None, recipe: Recipe, folder: Path) -> int:
    """By the option, the recipe or the run that is resumed, whichever says so first."""
    if stated is not None:
        return stated
    if "held_out" in recipe.first.model_fields_set:
        return recipe.first.held_out
    begun = folder / next(iter(recipe.phases))
    if (begun / CHECKPOINT).exists() and (begun / RECIPE).exists():
        return read_config(begun / RECIPE).held_out
    return HELD_OUT


def refuse_unfit(
    recipe: Recipe, device: str, processes: int = 1, net: Backbone | None = None
) -> None:
    """Refuse what cannot run here, before images are read."""
    try:
        for phase in recipe.phases.values():
            check_run(phase, device, processes, net)
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


def refuse_two_recipes(recipe: str | None, config: Path | None) -> None:
    """Refuse a recipe that ships beside one's own."""
    if recipe is not None and config is not None:
        raise BadInvocation(f"--recipe {recipe} and --config are both recipes: give one")


def refuse_without_head_scope(head: HeadKind, recipe: str | None, **options: object) -> None:
    """Refuse what only `--scope head` has."""
    if recipe == "head":
        raise BadInvocation("--recipe head goes with --scope head")
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


def _options(values: Mapping[str, object]) -> str:
    """Names of those that were given; an empty list is none."""
    chosen = [name for name, value in values.items() if value is not None and value != []]
    return " and no ".join(f"--{name.replace('_', '-')}" for name in chosen)
