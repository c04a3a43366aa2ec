"""Which blocks of a network a run may change; knows no loss and no images.

Which they are is the network's to say (`Backbone.blocks_of_network`); they are counted from its
end. What is frozen keeps its weights and its batch statistics.
"""

from __future__ import annotations

from torch import nn

from models.backbones.features import Backbone, Block


def learning_blocks(scope: str) -> int | None:
    """N of `last-N`; None for `full`."""
    return None if scope == "full" else int(scope.removeprefix("last-"))


def frozen_blocks(net: Backbone, scope: str) -> tuple[Block, ...]:
    """The blocks before the scope, from the input on."""
    kept = learning_blocks(scope)
    blocks = net.blocks_of_network() if kept is not None else ()
    return blocks[: max(0, len(blocks) - (kept or 0))]


def freeze(net: Backbone, scope: str) -> None:
    """Take the blocks before the scope out of what an optimiser changes."""
    for block in frozen_blocks(net, scope):
        for module in block.modules:
            module.requires_grad_(requires_grad=False)
        for parameter in block.parameters:
            parameter.requires_grad = False


def train_within(net: Backbone, scope: str) -> None:
    """Training mode inside the scope, evaluation mode before it: its statistics stand still."""
    net.train()
    for module in frozen_modules(net, scope):
        module.eval()


def frozen_modules(net: Backbone, scope: str) -> list[nn.Module]:
    """The modules of the blocks before the scope."""
    return [module for block in frozen_blocks(net, scope) for module in block.modules]
