"""What every backbone returns, and the little it must declare of itself."""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a network that learns or stays as it is as one."""

    modules: tuple[nn.Module, ...]
    parameters: tuple[nn.Parameter, ...] = ()
    """Those that are in none of the modules."""


class Backbone(nn.Module):
    """A network from `(n, 3, H, W)` images to `Features`.

    What training needs besides: `blocks_of_network`, the two halves `begun` and `finished`, and
    `projections`.
    """

    dimension: int
    """Columns of `Features.pooled`."""
    patch_dimension: int
    """Channels of `patch_map`."""
    multiple: int = 1
    """Both sides of an image must be a multiple of it."""

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

    def semantics(self, images: Tensor) -> Tensor:
        """`(n, d)` those columns of what is learnt before they are of unit length, if they are.

        Their direction is what is compared; whoever wants its gradient apart from that of the
        length (`attribution.training.losses.provenance`) needs the length.
        """
        return self.learnt(images).pooled[:, self.projections["semantics"]]

    @property
    def projections(self) -> Mapping[str, slice]:
        """Columns of what is learnt by what training compares in them.

        `semantics` is what a search compares first of all; here it is everything. A network that
        tells them apart also has `structure` and `appearance`.
        """
        return {"semantics": slice(0, self.dimension)}

    def local_side(self, side: int) -> int:
        """The largest side of an image, up to this one, that the network can cut."""
        return max(self.multiple, side // self.multiple * self.multiple)

    def blocks_of_network(self) -> tuple[Block, ...]:
        """All that learns, in pieces from input to output: the last few can be trained alone."""
        raise NotImplementedError(f"{type(self).__name__} must say which its blocks are")

    def begun(self, images: Tensor, blocks: int) -> Tensor:
        """`(n, ...)`: all that the blocks after the first `blocks`, one or more, need of images."""
        raise NotImplementedError(f"{type(self).__name__} must implement begun")

    def finished(self, begun: Tensor, blocks: int) -> Features:
        """`learnt` of square images, from what `begun` gave for as many blocks."""
        raise NotImplementedError(f"{type(self).__name__} must implement finished")

    def finished_pooled(self, begun: Tensor, blocks: int) -> Tensor:
        """`finished(begun, blocks).pooled`, in fewer operations where it needs no map."""
        return self.finished(begun, blocks).pooled

    def folded(self) -> Backbone:
        """The same network in fewer operations, for inference alone; itself unless replaced."""
        return self

    def patch_map(self, images: Tensor) -> Tensor:
        """`(n, patch_dimension, h, w)`: what an explanation compares, place by place.

        The map of `forward` unless replaced by one that tells places apart better.
        """
        features: Features = self(images)
        return features.patches
