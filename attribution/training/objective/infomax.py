"""The Infomax term of a recipe, with the rows it remembers; formulas are in `information`."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor, nn

from attribution.training.losses.information import ica, koleo, log_determinant
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.head_recipe import HeadRecipe


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
    """Second order, over the last few batches, for a covariance takes more rows than one has."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self._recent: deque[Tensor] = deque(maxlen=batches - 1)

    def forward(self, mild: Tensor, strong: Tensor) -> tuple[Tensor, int]:
        """Only the newest batch carries a gradient: the factor makes its share good."""
        joined, batches = self.join(torch.cat([mild, strong]))
        return self._term(joined), batches

    def join(self, rows: Tensor) -> tuple[Tensor, int]:
        """Put the new rows before the kept ones; also return how many batches that makes.

        Only the new rows carry a gradient, so the caller multiplies the loss by that number to
        keep the size of the gradient independent of the memory.
        """
        joined = torch.cat([rows, *self._recent])
        count = len(self._recent) + 1
        self._recent.append(rows.detach())
        return joined, count

    def remembered(self) -> list[Tensor]:
        """Rows of the batches but the newest of a step."""
        return list(self._recent)

    def remember(self, rows: list[Tensor]) -> None:
        """Take back what `remembered` gave."""
        self._recent.clear()
        self._recent.extend(rows)

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


def make_infomax(recipe: TrainingConfig | HeadRecipe, columns: int) -> Infomax | None:
    """The term that a recipe asks for, over so many columns; None without one."""
    kind, batches = recipe.disentanglement, recipe.disentanglement_batches
    if kind == "none" or recipe.disentanglement_weight == 0:
        return None
    if kind == "koleo":
        return NearestNeighbours()
    return LogDeterminant(batches) if kind == "logdet" else IndependentComponents(batches, columns)
