"""A linear head trained on cached descriptors, without labels; knows no images and no backbone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from attribution.training.heads.cached import CachedRows
from attribution.training.losses.contrast import multi_positive
from attribution.training.objective.infomax import make_infomax
from attribution.training.objective.projection import Projector
from attribution.training.recipe.head_recipe import HeadRecipe
from attribution.training.recipe.plans import UnfitHead
from models.heads import AffineMap, linear_identity

LARGEST_COVARIANCE = 2048
"""Columns beyond which a float64 determinant a step takes hours in all."""


def train_linear(
    rows: CachedRows,
    recipe: HeadRecipe,
    on_epoch: Callable[[int, float], None] | None = None,
) -> AffineMap:
    r"""Train a map of descriptors, from the identity on, so that views find their images.

    .. math:: W = I + \Delta, \qquad \Delta = 0 \text{ at first}

    The identity start and the frozen backbone are those of Wang et al., "Evaluating Data
    Attribution for Text-to-Image Models", ICCV 2023, who learn from labelled pairs; here a view
    is a query, its image or both images of a mixture are the keys (`multi_positive`), the other
    images of the batch are the negatives, and an Infomax term spreads the rows. Weight decay
    acts on :math:`\Delta`, so that it leads back to the descriptor as it was. Queries and
    sources share the map.

    Args:
        rows: the cached descriptors, such as `check_linear` lets pass, with views.
        recipe: its knobs for `linear`; with no epochs the map is the identity.
        on_epoch: called with the epochs done and the mean loss of the last.

    Raises:
        UnfitHead: the loss is not a number; says what to change.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)  # of the projection's first weights
        learner = _Learner(rows.dimension, recipe)
    optimizer = torch.optim.AdamW(learner.groups(), lr=recipe.learning_rate)
    batch = min(recipe.batch, len(rows.views))
    steps = recipe.epochs * (len(rows.views) // batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / max(1, steps)))
    )
    for epoch in range(recipe.epochs):
        losses: list[float] = []
        for chosen in _batches(len(rows.views), batch, generator):
            loss = learner(rows, chosen)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        mean = sum(losses) / len(losses)
        if not math.isfinite(mean):
            raise UnfitHead(
                f"the loss is {mean} in epoch {epoch + 1}: lower the learning rate of the head, or "
                "the weight of its disentanglement"
            )
        if on_epoch is not None:
            on_epoch(epoch + 1, mean)
    start = linear_identity(rows.dimension)
    return AffineMap(start.mean, start.weight + learner.change.detach())


def check_linear(recipe: HeadRecipe, *, columns: int, images: int) -> None:
    """Refuse, before descriptors are computed, a linear head that could not be trained on them.

    Raises:
        UnfitHead: fewer images than a contrast needs, or too many columns for the Infomax term.
    """
    if images < 8:
        raise UnfitHead(f"{images} images give no negatives to learn from: give 8 at least")
    determinant = recipe.disentanglement in ("logdet", "ica") and recipe.disentanglement_weight > 0
    if determinant and columns > LARGEST_COVARIANCE:
        raise UnfitHead(
            f"{recipe.disentanglement} over {columns} columns would take hours on a CPU: choose "
            "koleo or none as disentanglement, or a head with a closed form, cca or whiten"
        )


class _Learner(nn.Module):
    """The map, the loss, and what else learns with it."""

    def __init__(self, columns: int, recipe: HeadRecipe) -> None:
        super().__init__()
        self._recipe = recipe
        self.change = nn.Parameter(torch.zeros(columns, columns))
        self._projector = (
            Projector(columns, columns, recipe.projection) if recipe.projection > 0 else None
        )
        self._infomax = make_infomax(recipe, columns)

    def forward(self, rows: CachedRows, chosen: Tensor) -> Tensor:
        """The loss of some of the views against the images they show, each a key once."""
        recipe = self._recipe
        shown = torch.stack([rows.structure[chosen], rows.appearance[chosen]], dim=1)
        images, positives = torch.unique(shown, return_inverse=True)
        keys = self._embed(rows.images[images])
        queries = self._embed(rows.views[chosen])
        compared = self._compared(torch.cat([queries, keys]))
        loss = multi_positive(
            compared[: len(queries)],
            compared[len(queries) :],
            positives,
            temperature=recipe.temperature,
            decoupled=recipe.decoupled,
        )
        if self._infomax is None:
            return loss
        term, factor = self._infomax(keys, queries)
        total: Tensor = loss + recipe.disentanglement_weight * factor * term
        return total

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by their weight decay: the projection and the unmixing matrix have none."""
        others = [each for each in self.parameters() if each is not self.change]
        decayed = {"params": [self.change], "weight_decay": self._recipe.weight_decay}
        return [decayed, {"params": others, "weight_decay": 0.0}] if others else [decayed]

    def _embed(self, descriptors: Tensor) -> Tensor:
        x = descriptors.float()
        return functional.normalize(x + x @ self.change, dim=1)

    def _compared(self, rows: Tensor) -> Tensor:
        if self._projector is None:
            return rows
        projected: Tensor = self._projector(rows)
        return functional.normalize(projected, dim=1)


def _batches(views: int, batch: int, generator: Generator) -> Iterator[Tensor]:
    """Places of an epoch's views, shuffled; the rest that makes no batch is dropped."""
    order = torch.randperm(views, generator=generator)
    return iter(torch.split(order[: views // batch * batch], batch))
