"""What every backbone returns, and the little it must declare of itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn

from models.parts import Part, consecutive_parts


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
    """Channels of `patch_map`."""

    @cached_property
    def blocks_of_descriptor(self) -> tuple[Part, ...]:
        """Slices of the descriptor that a head may read apart; one, `whole`, unless replaced."""
        return consecutive_parts([("whole", self.dimension)])

    @cached_property
    def blocks_of_patches(self) -> tuple[Part, ...]:
        """Slices of a patch vector that are put on one scale apart; one unless replaced."""
        return consecutive_parts([("whole", self.patch_dimension)])

    def forward(self, images: Tensor) -> Features:
        """Describe the images."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward")

    def learnt(self, images: Tensor) -> Features:
        """`forward` without those last columns of the descriptor that `measured` gives."""
        features: Features = self(images)
        return features

    def measured(self, images: Tensor, views: int = 1) -> Tensor:
        """Columns of the descriptor that a formula takes from the pixels, no weights: none here.

        `(views * n, k)`: rows of the `n` images and, with two views, of their mirror images.
        """
        return images.new_zeros((views * len(images), 0))

    def folded(self) -> Backbone:
        """The same network in fewer operations, for inference alone; itself unless replaced."""
        return self

    def patch_map(self, images: Tensor) -> Tensor:
        """`(n, patch_dimension, h, w)`: what an explanation compares, place by place.

        The map of `forward` unless replaced by one that tells places apart better.
        """
        features: Features = self(images)
        return features.patches
