"""One linear map on cached descriptors, trained by alignment and an Infomax term; no projector.

Used by `infomax.py`; knows no bench. The losses are those of `attribution train`, whose
alignments see the map in the place of a network and rows in the place of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from infomax_rows import BaseRows
from torch import Tensor, nn
from torch.nn import functional

from attribution.training.losses.information import ica, koleo, log_determinant
from attribution.training.objective.infomax import LogDeterminant
from attribution.training.objective.objective import ALIGNMENTS
from attribution.training.objective.pairing import Views
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.schedule import learning_rate
from models.backbones.features import Backbone, Features
from models.heads import AffineMap

STEPS, BATCH, WARMUP = 60, 256, 6
WEIGHT_DECAY = 1.0
BATCHES = 3
"""That a covariance is of: 768 rows of a view for up to 512 columns."""

Alignment = Literal["simclr", "moco", "dino"]
Term = Literal["none", "logdet", "koleo", "ica"]


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a run of the linear stage is told."""

    term: Term = "none"
    weight: float = 0.0
    """Of the term, which is per dimension: log-determinant and ICA are divided by it, KoLeo is."""
    temperature: float = 0.1
    rate: float = 2e-3
    alignment: Alignment = "simclr"

    def recipe(self, seed: int) -> TrainingConfig:
        """The recipe of the alignment; what counts steps is in proportion to theirs."""
        config = TrainingConfig(
            seed=seed,
            alignment=self.alignment,
            temperature=self.temperature,
            projector="none",
            teacher_momentum=0.9,
            batch=BATCH,
            learning_rate=self.rate,
        ).scaled(STEPS)
        return config.model_copy(update={"warmup": WARMUP})


class LinearMap(Backbone):
    """`g -> g + g D`, the identity at first; weight decay leads back to it."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.dimension = self.patch_dimension = columns
        self.change = nn.Parameter(torch.zeros(columns, columns))

    def forward(self, rows: Tensor) -> Features:
        """`(n, d)` to `(n, d)`, not of unit length."""
        mapped = rows + rows @ self.change
        return Features(pooled=mapped, patches=mapped[:, :, None, None])


class Spread(nn.Module):
    """The Infomax term, of each view by itself: views of one image should not be driven apart."""

    def __init__(self, term: Term, columns: int) -> None:
        super().__init__()
        self.term = term
        self.memories = [LogDeterminant(BATCHES) for _ in range(2)]
        self.unmixing = nn.Parameter(torch.eye(columns)) if term == "ica" else None

    def forward(self, views: tuple[Tensor, Tensor]) -> Tensor:
        """Mean over the views of `(n, d)` unit rows."""
        if self.term == "koleo":
            return torch.stack([koleo(rows) for rows in views]).mean()
        terms = []
        for memory, rows in zip(self.memories, views, strict=True):
            joined, factor = memory.join(rows)
            terms.append(factor * self._term(joined))
        return torch.stack(terms).mean()

    def _term(self, rows: Tensor) -> Tensor:
        return log_determinant(rows) if self.unmixing is None else ica(rows, self.unmixing)


def train_map(rows: BaseRows, knobs: Knobs, seed: int) -> AffineMap:
    """The map after `STEPS` steps; the seed draws batches, and what an alignment starts with."""
    config = knobs.recipe(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = LinearMap(rows.dimension)
        align = ALIGNMENTS[knobs.alignment](net, net.projections, config)
    spread = None if knobs.term == "none" else Spread(knobs.term, rows.dimension)
    others = [each for each in align.parameters() if each.requires_grad]
    others += [] if spread is None else spread.parameters()
    groups = [{"params": [net.change], "weight_decay": WEIGHT_DECAY}]
    optimizer = torch.optim.AdamW(
        [*groups, {"params": others, "weight_decay": 0.0}] if others else groups
    )
    generator = torch.Generator().manual_seed(seed)
    for step in range(STEPS):
        views = views_of(rows.pairs, generator)
        mapped = described(net, torch.cat([views.mild, views.strong, views.mixed]))
        terms = align(mapped, views, described, step)
        loss = terms["semantics"] + config.mixed_weight * terms["semantics mixed"]
        if spread is not None:
            mild, strong = functional.normalize(mapped[: 2 * BATCH], dim=1).chunk(2)
            loss = loss + knobs.weight * spread((mild, strong))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        align.after_update(net, step)
    if not net.change.isfinite().all():
        raise ValueError(f"{knobs}: the map is not finite; give a smaller weight")
    identity = torch.eye(rows.dimension)
    return AffineMap(torch.zeros(rows.dimension), identity + net.change.detach())


def described(net: Backbone, rows: Tensor) -> Tensor:
    """What an alignment asks of a network."""
    return cast("Features", net(rows)).pooled


def views_of(pairs: Tensor, generator: torch.Generator) -> Views:
    """The views of a batch, drawn at random."""
    place = torch.randperm(len(pairs), generator=generator)[: BATCH // 2]
    mild_a, mild_b, strong_a, strong_b, mixed = pairs[place].unbind(dim=1)
    return Views(torch.cat([mild_a, mild_b]), torch.cat([strong_a, strong_b]), mixed)
