"""Which blocks of a network a run may change; knows no loss and no images.

A block is the entry convolution of a stage with its norm, or a residual block, counted from the
end of the network. What is frozen keeps its weights and its batch statistics.
"""

from __future__ import annotations

from torch import nn

from models.backbones.residual import ResidualNet


def learning_blocks(scope: str) -> int | None:
    """N of `last-N`; None for `full`."""
    return None if scope == "full" else int(scope.removeprefix("last-"))


def freeze(net: ResidualNet, scope: str) -> None:
    """Take the blocks before the scope out of what an optimiser changes."""
    for module in _frozen(net, scope):
        module.requires_grad_(requires_grad=False)


def train_within(net: ResidualNet, scope: str) -> None:
    """Training mode inside the scope, evaluation mode before it: its statistics stand still."""
    net.train()
    for module in _frozen(net, scope):
        module.eval()


def _frozen(net: ResidualNet, scope: str) -> list[nn.Module]:
    kept = learning_blocks(scope)
    if kept is None:
        return []
    blocks = _blocks(net)
    return [module for block in blocks[: max(0, len(blocks) - kept)] for module in block]


def _blocks(net: ResidualNet) -> list[tuple[nn.Module, ...]]:
    blocks: list[tuple[nn.Module, ...]] = []
    for stage in net.stages:
        entry, norm, activation, *residual = stage.children()
        blocks.append((entry, norm, activation))
        blocks += [(block,) for block in residual]
    return blocks
