"""Two networks as one: the descriptor of the first, and beside it that of a second."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from models.backbones.features import Backbone, Features
from models.parts import Part, consecutive_parts


class Joined(Backbone):
    """A network with the columns of another that sees the same pixels and does not learn.

    Those columns count as measured: whatever runs the first network leaves them alone.

    Args:
        first: gives the first columns of a descriptor, and the maps.
        second: takes images in [0, 1]; gives the last block of the descriptor.
        name: of that block.
        mean: taken off the images that the first network gets; the second gets them in [0, 1].
        std: by which they are divided.
    """

    def __init__(
        self,
        first: Backbone,
        second: Backbone,
        name: str,
        *,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.first, self.second, self.name = first, second, name
        self._mean, self._std = mean, std
        self.dimension = first.dimension + second.dimension
        self.patch_dimension = first.patch_dimension

    @cached_property
    def blocks_of_descriptor(self) -> tuple[Part, ...]:
        """Those of the first network, and the second as one."""
        own = [(part.name, part.dimension) for part in self.first.blocks_of_descriptor]
        return consecutive_parts([*own, (self.name, self.second.dimension)])

    @cached_property
    def blocks_of_patches(self) -> tuple[Part, ...]:
        """Those of the first network."""
        return self.first.blocks_of_patches

    def forward(self, images: Tensor) -> Features:
        """`(n, 3, H, W)` to both descriptors side by side and the map of the first."""
        own = self.first(images)
        return Features(torch.cat([own.pooled, self._second(images)], dim=1), own.patches)

    def learnt(self, images: Tensor) -> Features:
        """What the first network learnt."""
        return self.first.learnt(images)

    def measured(self, images: Tensor, views: int = 1) -> Tensor:
        """What the first measures, and the second network's columns."""
        both = [self._second(each) for each in (images, images.flip(-1))[:views]]
        return torch.cat([self.first.measured(images, views), torch.cat(both)], dim=1)

    def folded(self) -> Joined:
        """With the first network folded."""
        return Joined(
            self.first.folded(), self.second, self.name, mean=self._mean, std=self._std
        ).eval()

    def patch_map(self, images: Tensor) -> Tensor:
        """That of the first network."""
        return self.first.patch_map(images)

    def _second(self, images: Tensor) -> Tensor:
        mean, std = (images.new_tensor(values)[:, None, None] for values in (self._mean, self._std))
        features: Features = self.second(images * std + mean)
        return features.pooled
