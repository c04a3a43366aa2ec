"""Batch norm that stands still for a while, so that what is computed of one sample is its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def still_batch_norm(module: nn.Module) -> Iterator[None]:
    """Every batch norm inside in evaluation mode for the duration of the block.

    In training mode each sample moves the statistics that all are normalised by: the input gradient
    of one score would reach into other samples, and a pass over composites would move the running
    statistics. Everything else stays in its mode.
    """
    norms = [each for each in module.modules() if isinstance(each, _BatchNorm) and each.training]
    try:
        for norm in norms:
            norm.eval()
        yield
    finally:
        for norm in norms:
            norm.train()
