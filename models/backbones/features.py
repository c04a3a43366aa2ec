"""What every backbone returns, and the little it must declare of itself."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Features:
    """One forward pass: a descriptor of each image and a spatial map for explanations."""

    pooled: Tensor
    """`(n, d)`."""
    patches: Tensor
    """`(n, dp, h, w)`."""


class Backbone(nn.Module):
    """A network from `(n, 3, H, W)` images to `Features`."""

    dimension: int
    """Columns of `Features.pooled`."""
    patch_dimension: int
    """Channels of `Features.patches`."""

    def forward(self, images: Tensor) -> Features:
        """Describe the images."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward")
