"""What makes a run impossible, said before the first image is read."""

from __future__ import annotations

import math

from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.scope import learning_blocks
from models.backbones.features import Backbone
from models.devices import UnusableDevice, require_device


class UnfitRun(ValueError):
    """The recipe cannot run as asked; the message says what to change."""


def check_run(
    config: TrainingConfig, device: str, processes: int = 1, net: Backbone | None = None
) -> None:
    """Refuse a recipe that does not fit itself, the machine or the number of processes.

    Args:
        config: the recipe, with the digest of the weights it starts from.
        device: `cpu` or `cuda`, with a number where there are several.
        processes: how many train together.
        net: that the run starts from; the project's own from scratch for None.

    Raises:
        UnfitRun: with what to change.
    """
    check_device(device)
    if config.precision == "mixed" and not device.startswith("cuda"):
        raise UnfitRun(
            f"mixed precision needs a GPU and would be slower on {device}: give --device cuda, "
            "or --precision float32"
        )
    if config.batch % (2 * processes):
        raise UnfitRun(
            f"a batch of {config.batch} cannot be shared by {processes} processes in pairs: give "
            f"--batch a multiple of {2 * processes}"
        )
    _check_sizes(config, net)
    _check_scope(config, net)


def check_device(device: str) -> None:
    """Refuse a device that torch does not know or does not see.

    Raises:
        UnfitRun: with what to give.
    """
    try:
        require_device(device, kinds=("cpu", "cuda"))
    except UnusableDevice as error:
        raise UnfitRun(f"--device: {error}") from error


def _check_sizes(config: TrainingConfig, net: Backbone | None) -> None:
    patch = 1 if net is None else net.multiple
    for size in (stage.size for stage in config.stages):
        if size % patch:
            step = math.lcm(patch, 16)
            raise UnfitRun(
                f"{config.backbone} cuts images into patches of {patch} pixels, which views of "
                f"{size} do not hold evenly: give stages of {step} or {2 * step} in the recipe"
            )


def _check_scope(config: TrainingConfig, net: Backbone | None) -> None:
    learning = learning_blocks(config.scope)
    if learning is None:
        return
    if not config.initial:
        raise UnfitRun(
            f"--scope {config.scope} keeps the blocks before as they are, which from scratch means "
            "random: give a trained encoder as --from, or --scope full"
        )
    blocks = len(config.blocks) + sum(config.blocks)
    if net is not None:
        blocks = len(net.blocks_of_network())
    if learning > blocks:
        raise UnfitRun(f"the network has {blocks} blocks: give --scope full, or a smaller N")
