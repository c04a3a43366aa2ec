"""Batch-norm statistics of a network that was never run: the average of many networks' weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attribution.training.data.images import ImageSet
from attribution.training.recipe.scope import frozen_modules
from models.backbones.features import Backbone
from models.images.preprocessing import Preprocessing

BATCH = 128
ENOUGH = 4_096
"""Images beyond which the statistics of thousands of places each would change no more."""


@torch.no_grad()
def estimate_again(
    net: Backbone, images: ImageSet, shape: Preprocessing, scope: str, *, seed: int = 0
) -> None:
    """Measure what each batch norm that has learnt sees, at the size of inference.

    Averaged weights have averaged buffers, which no network had, of views that were smaller than
    what an encoder sees. As `torch.optim.swa_utils.update_bn` (Izmailov et al., UAI 2018), but what
    is frozen stays: its statistics belong to weights that did not change.

    Args:
        net: the averaged network; left in evaluation mode.
        images: read as the encoder sees them; up to `ENOUGH` of them are drawn.
        shape: the encoder's preprocessing.
        scope: of the run.
        seed: of that draw.
    """
    net.eval()
    frozen = frozen_modules(net, scope)
    still: set[nn.Module] = {each for module in frozen for each in module.modules()}
    norms = [each for each in net.modules() if isinstance(each, _BatchNorm) and each not in still]
    momenta = [norm.momentum for norm in norms]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:ENOUGH]
    weights = next(net.parameters())
    # Batches of one size, since each counts alike.
    for rows in order.chunk(-(-len(order) // BATCH)):
        scaled = shape.scaled(images.batch(rows, weights.device))
        net.learnt(scaled.to(weights.dtype, memory_format=torch.channels_last))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.eval()
