"""What is compared in every table: the arms, the weights that each may choose from, the penalties.

The squares of a gradient are added up over an input, pictures in [0, 1]; `for_a_mean` says what a
weight is where they are averaged instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from attribution.training.losses.provenance import (
    editing_penalty,
    mixing_penalty,
    squared_length,
)

GUIDED = ("true", "random", "full")
ARMS = ("no synthesis", "synthesis", *GUIDED)
GRID = (0.1, 0.3, 0.9)
"""On pictures, for sums over values in [0, 1]; a factor of nine between them, as in the paper."""
NOISE = (-0.3, -0.1, 0.1, 0.3)
"""Shares of its area by which a mask is eroded or dilated."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a table.

    Attributes:
        arm: one of `ARMS`.
        seed: of the data, the first weights and the order.
        weight: of the penalty; 0 for the arms without one.
        noise: share of its area by which every mask that guides is dilated, negative if eroded.
    """

    arm: str
    seed: int
    weight: float = 0.0
    noise: float = 0.0

    @property
    def name(self) -> str:
        """Of its file of results."""
        noise = f"-masks{self.noise:+g}" if self.noise else ""
        return f"seed{self.seed}-{self.arm.replace(' ', '-')}-{self.weight:g}{noise}"


def trials(
    seeds: int,
    weights: Sequence[float],
    noisy: Sequence[float] = (),
    arms: Sequence[str] = ARMS,
    *,
    first: int = 0,
) -> Iterator[Trial]:
    """Every training of a table, seed by seed.

    Args:
        seeds: how many.
        weights: the grid, the same for every arm that has one.
        noisy: changes of the masks of the arm `true`, at the middle weight of the grid.
        arms: which ones.
        first: of the seeds.
    """
    for seed in range(first, first + seeds):
        for arm in arms:
            for weight in weights if arm in GUIDED else (0.0,):
                yield Trial(arm, seed, weight)
        for noise in noisy:
            yield Trial("true", seed, middle(weights), noise)


def middle(weights: Sequence[float]) -> float:
    """The weight at which masks are made worse."""
    return sorted(weights)[len(weights) // 2]


def for_a_mean(weight: float, elements: int) -> float:
    """The weight that does the same where squares are averaged over the elements of an input."""
    return weight * elements


def edit_penalty(arm: str, gradient: Tensor, masks: Tensor) -> Tensor:
    """What an arm penalises of edited inputs; `random` takes the mask of the next one."""
    if arm == "full":
        return squared_length(gradient)
    return editing_penalty(gradient, masks.roll(1, dims=0) if arm == "random" else masks)


def mix_penalty(arm: str, first: Tensor, second: Tensor, masks: Tensor) -> Tensor:
    """What an arm penalises of two inputs in one; `random` takes the mask of the next one."""
    if arm == "full":
        return squared_length(first) + squared_length(second)
    return mixing_penalty(first, second, masks.roll(1, dims=0) if arm == "random" else masks)
