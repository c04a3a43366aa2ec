"""The disentangling term of a recipe, with its memory; formulas are in `disentanglement`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attribution.training.losses.information import RecentRows, ica, koleo, log_determinant
from attribution.training.recipe.config import TrainingConfig


class Infomax(nn.Module):
    """Base of the terms: one that remembers nothing and says nothing."""

    def forward(self, mild: Tensor, strong: Tensor) -> tuple[Tensor, int]:
        """The term of `(n, d)` unit rows of two views, and what its weight is multiplied by."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward")

    def remembered(self) -> list[Tensor]:
        """Rows of earlier batches, which a checkpoint must keep to resume exactly."""
        return []

    def remember(self, rows: list[Tensor]) -> None:
        """Take back what `remembered` gave."""


class LogDeterminant(Infomax):
    """Second order, over the last few batches."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self._recent = RecentRows(batches)

    def forward(self, mild: Tensor, strong: Tensor) -> tuple[Tensor, int]:
        """Only the newest batch carries a gradient: the factor makes its share good."""
        joined, batches = self._recent.join(torch.cat([mild, strong]))
        return self._term(joined), batches

    def remembered(self) -> list[Tensor]:
        """Rows of the batches but the newest of a step."""
        return self._recent.state()

    def remember(self, rows: list[Tensor]) -> None:
        """Take back what `remembered` gave."""
        self._recent.restore(rows)

    def _term(self, joined: Tensor) -> Tensor:
        return log_determinant(joined)


class IndependentComponents(LogDeterminant):
    """All moments of unmixed columns, over the last few batches; the unmixing matrix is learnt."""

    def __init__(self, batches: int, columns: int) -> None:
        super().__init__(batches)
        self.unmixing = nn.Parameter(torch.eye(columns))

    def _term(self, joined: Tensor) -> Tensor:
        return ica(joined, self.unmixing)


class NearestNeighbours(Infomax):
    """Distance of each mild view to the nearest of the batch; needs no memory."""

    def forward(self, mild: Tensor, strong: Tensor) -> tuple[Tensor, int]:
        """Of one view only: two views of an image would be each other's nearest."""
        del strong
        return koleo(mild), 1


def make_infomax(config: TrainingConfig, columns: int) -> Infomax | None:
    """The term that the recipe asks for, over so many columns; None without one."""
    if not config.disentangles:
        return None
    if config.disentanglement == "koleo":
        return NearestNeighbours()
    if config.disentanglement == "ica":
        return IndependentComponents(config.disentanglement_batches, columns)
    return LogDeterminant(config.disentanglement_batches)
