"""What computes the learnt part of descriptors, nearly all of an encoder's work, and why it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from models.backbones.features import Backbone

EngineName = Literal["torch", "onnx"]


class Engine(Protocol):
    """A network as it is run; safe for several threads at once."""

    @property
    def name(self) -> EngineName:
        """What runs it."""

    def learnt(self, images: Tensor) -> Tensor:
        """`(n, 3, H, W)` float32 to the `(n, k)` of `Backbone.learnt`."""


@dataclass(frozen=True, slots=True, eq=False)
class TorchEngine:
    """torch, on whatever device the network is."""

    network: Backbone
    name: EngineName = "torch"

    def learnt(self, images: Tensor) -> Tensor:
        """As `Engine.learnt`."""
        return self.network.learnt(images.to(memory_format=torch.channels_last)).pooled


@dataclass(frozen=True, slots=True)
class Rate:
    """How many queries a second an engine encoded here, so many in a batch."""

    engine: EngineName
    batch: int
    queries_per_second: float


@dataclass(frozen=True, slots=True)
class Choice:
    """Which engine computes: the only one there is, the one asked for, or the faster one."""

    engine: EngineName = "torch"
    why: Literal["only", "set", "measured"] = "only"
    rates: tuple[Rate, ...] = ()
    """What was measured, if anything was."""
