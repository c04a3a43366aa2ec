"""MoCo: a momentum teacher gives the keys, a queue of earlier keys the negatives."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from attribution.training.losses.contrast import momentum_contrastive, multi_positive
from attribution.training.objective.alignment import Alignment, Describe
from attribution.training.objective.pairing import (
    Views,
    comparable,
    rows_of_batch,
    sources_of_mixed,
)
from attribution.training.objective.projection import Columns, Projectors
from attribution.training.objective.teacher import Teacher
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.schedule import teacher_momentum
from models.backbones.features import Backbone


class MoCo(Alignment):
    """Views against the keys of a momentum teacher (He et al., CVPR 2020).

    Symmetric, as in MoCo v3: each view is compared with the key of the other. Mild keys are
    queued: they look like the images of a gallery.
    """

    def __init__(self, net: Backbone, columns: Columns, config: TrainingConfig) -> None:
        super().__init__()
        self.config = config
        self.projectors = Projectors(columns, config.projection, config.projector)
        self.teacher = Teacher(net, self.projectors, config.scope)
        self.queues = nn.ModuleDict(
            {name: KeyQueue(config.queue, width) for name, width in self.projectors.widths.items()}
        )

    def forward(
        self,
        pooled: Tensor,
        views: Views,
        describe: Describe,
        step: int,
        local: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """As `Alignment.forward`, which says what the arguments are."""
        del step, local
        n = len(views.mild)
        projected = self.projectors(pooled)
        with torch.no_grad():
            seen = describe(self.teacher.net, torch.cat([views.mild, views.strong]))
            taught = self.teacher.head(seen)
        terms: dict[str, Tensor] = {}
        for name in projected:
            rows, keys = rows_of_batch(projected[name], n), rows_of_batch(taught[name], n)
            queue = cast("KeyQueue", self.queues[name])
            pairs = comparable(name, len(rows.mild))
            terms[name] = 0.5 * (
                self._against(rows.mild[pairs], keys.strong[pairs], queue)
                + self._against(rows.strong[pairs], keys.mild[pairs], queue)
            )
            if len(rows.mixed):
                mixed, sources = sources_of_mixed(name, rows.mixed)
                terms[f"{name} mixed"] = multi_positive(
                    mixed,
                    torch.cat([keys.mild, queue.rows]),
                    sources,
                    temperature=self.config.temperature,
                    decoupled=self.config.decoupled,
                )
            queue.push(keys.mild)
        return terms

    def after_update(self, net: Backbone, step: int) -> None:
        """The teacher follows the network and the projectors."""
        self.teacher.follow(net, self.projectors, teacher_momentum(self.config, step))

    def _against(self, queries: Tensor, keys: Tensor, queue: KeyQueue) -> Tensor:
        return momentum_contrastive(
            queries,
            keys,
            queue.rows,
            temperature=self.config.temperature,
            decoupled=self.config.decoupled,
        )


class KeyQueue(nn.Module):
    """Ring of the newest momentum keys; its state is a buffer, so a checkpoint keeps it exactly.

    It starts with random unit rows, as the paper's, which the first `size` keys replace.

    Args:
        size: keys held; it need not be a multiple of the batch.
        dimension: columns of a key.
    """

    rows: Tensor
    """`(size, dimension)` unit rows. `push` replaces this tensor and leaves the old one as it
    was, so that a loss computed from it can still be differentiated."""
    next: Tensor

    def __init__(self, size: int, dimension: int) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"a queue of {size} keys gives no negatives: give it at least one")
        self.register_buffer("rows", functional.normalize(torch.randn(size, dimension), dim=1))
        self.register_buffer("next", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Put `(n, dimension)` keys in the place of the oldest; the last `size` if they are more.

        On several processes give each the keys of all (`distributed.gather`), in one order.
        """
        newest = keys.detach()[-len(self.rows) :].to(self.rows.dtype)
        places = (self.next + torch.arange(len(newest), device=newest.device)) % len(self.rows)
        self.rows = self.rows.index_copy(0, places, newest)
        self.next = (self.next + len(newest)) % len(self.rows)
