"""What makes a run impossible, said before the first image is read."""

from __future__ import annotations

from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.scope import learning_blocks
from models.devices import UnusableDevice, require_device


class UnfitRun(ValueError):
    """The recipe cannot run as asked; the message says what to change."""


def check_run(config: TrainingConfig, device: str, processes: int = 1) -> None:
    """Refuse a recipe that does not fit itself, the machine or the number of processes.

    Args:
        config: the recipe, with the digest of the weights it starts from.
        device: `cpu` or `cuda`, with a number where there are several.
        processes: how many train together.

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
    _check_scope(config)


def check_device(device: str) -> None:
    """Refuse a device that torch does not know or does not see.

    Raises:
        UnfitRun: with what to give.
    """
    try:
        require_device(device, kinds=("cpu", "cuda"))
    except UnusableDevice as error:
        raise UnfitRun(f"--device: {error}") from error


def _check_scope(config: TrainingConfig) -> None:
    learning = learning_blocks(config.scope)
    if learning is None:
        return
    if not config.initial:
        raise UnfitRun(
            f"--scope {config.scope} keeps the blocks before as they are, which from scratch means "
            "random: give a trained encoder as --from, or --scope full"
        )
    blocks = len(config.blocks) + sum(config.blocks)
    if learning > blocks:
        raise UnfitRun(f"the network has {blocks} blocks: give --scope full, or a smaller N")
