"""How views are drawn together: SimCLR, MoCo and DINO over the same three projections.

Three projections of the descriptor are compared: `semantics` (pooled last stage), `structure`
(the layout grid) and `appearance` (statistics of the earlier stages). A mixed view must find both
its sources in the first, only its structure source in the second and only its appearance source
in the third, each against all other images. Here are the state and the pairs; the formulas are in
`alignment` and `distillation`. On several processes all terms are of the whole, gathered batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from attribution.training.distributed import gather
from attribution.training.losses.contrast import (
    KeyQueue,
    contrastive,
    momentum_contrastive,
    multi_positive,
)
from attribution.training.losses.distillation import dino_loss, next_centre
from attribution.training.objective.projection import Projector, PrototypeHead
from attribution.training.objective.schedule import teacher_momentum, teacher_temperature
from attribution.training.objective.teacher import Teacher
from attribution.training.recipe.config import TrainingConfig
from models.backbones.residual import ResidualNet

HIDDEN = 512
# A sixth of the mixed views are collages that only the semantic term sees: a pasted region has
# both structure and appearance, so it belongs to neither role.
PASTED = 6

Columns = Mapping[str, slice]
"""Columns of the descriptor that each projection sees."""
Describe = Callable[[ResidualNet, Tensor], Tensor]
"""From a network and images in [0, 1] to float32 descriptors."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A row for each view of a whole batch of `n` images; `mixed` has `n / 2` or none."""

    mild: Tensor
    strong: Tensor
    mixed: Tensor


def rows_of_batch(stacked: Tensor, n: int) -> Rows:
    """From this process's rows, `n` mild, `n` strong and then mixed, to those of all processes."""
    mild, strong, mixed = torch.split(stacked, [n, n, len(stacked) - 2 * n])
    return Rows(gather(mild), gather(strong), gather(mixed) if len(mixed) else mixed)


class SimCLR(nn.Module):
    """Views of an image against those of the other images of the batch (ICML 2020), and the base.

    Args:
        net: the network that learns.
        columns: of its descriptor, by projection.
        config: the recipe.
    """

    def __init__(self, net: ResidualNet, columns: Columns, config: TrainingConfig) -> None:
        super().__init__()
        del net
        self.columns, self.config = columns, config
        self.projectors = nn.ModuleDict(
            {name: self._projector(part) for name, part in columns.items()}
        )

    def _projector(self, columns: slice) -> Projector:
        return Projector(columns.stop - columns.start, HIDDEN, self.config.projection)

    def teach(self, mild: Tensor, strong: Tensor, describe: Describe) -> Tensor | None:
        """What a teacher says of the views; None without one."""
        del mild, strong, describe
        return None

    def forward(
        self, pooled: Tensor, taught: Tensor | None, n: int, step: int
    ) -> dict[str, Tensor]:
        """The terms of a step, unweighted.

        Args:
            pooled: `(2n, d)` or `(2n + n/2, d)` descriptors of this process's views.
            taught: what `teach` gave.
            n: images of this process.
            step: from 0.
        """
        del taught, step
        terms: dict[str, Tensor] = {}
        for name in self.columns:
            terms |= self._contrast(name, pooled, n)
        return terms

    def before_update(self, step: int) -> None:
        """Called between `backward` and the optimiser's step."""

    def after_update(self, net: ResidualNet, step: int) -> None:
        """Called after the optimiser's step: a teacher follows."""

    def _contrast(self, name: str, pooled: Tensor, n: int) -> dict[str, Tensor]:
        rows = self._project(name, pooled, n)
        terms = {name: self._nt_xent(rows, _comparable(name, rows))}
        if len(rows.mixed):
            terms[f"{name} mixed"] = self._mixtures(name, rows.mixed, rows.mild)
        return terms

    def _project(self, name: str, pooled: Tensor, n: int) -> Rows:
        projected = self.projectors[name](pooled[:, self.columns[name]])
        return rows_of_batch(functional.normalize(projected, dim=1), n)

    def _nt_xent(self, rows: Rows, pairs: Tensor) -> Tensor:
        """NT-Xent of both directions, the other images of both views as negatives."""
        mild, strong, n = rows.mild[pairs], rows.strong[pairs], len(pairs)
        itself = torch.zeros(n, 2 * n, dtype=torch.bool, device=pairs.device)
        itself[pairs, n + pairs] = True
        terms = [
            contrastive(
                queries,
                torch.cat([keys, queries]),
                pairs,
                temperature=self.config.temperature,
                excluded=itself,
                decoupled=self.config.decoupled,
            )
            for queries, keys in ((mild, strong), (strong, mild))
        ]
        return 0.5 * (terms[0] + terms[1])

    def _mixtures(self, name: str, mixed: Tensor, keys: Tensor) -> Tensor:
        """Each mixed view against its sources; `keys` are the mild views, then further ones."""
        first = torch.arange(len(mixed), device=mixed.device)
        sources = torch.stack([first, first + len(mixed)], dim=1)
        if name != "semantics":
            role = 0 if name == "structure" else 1
            whole = slice(len(mixed) // PASTED, None)
            mixed, sources = mixed[whole], sources[whole, role : role + 1]
        return multi_positive(
            mixed,
            keys,
            sources,
            temperature=self.config.temperature,
            decoupled=self.config.decoupled,
        )


class MoCo(SimCLR):
    """Views against the keys of a momentum teacher, earlier keys as negatives (CVPR 2020).

    Symmetric, as in MoCo v3: each view is compared with the key of the other. Mild keys are
    queued: they look like the images of a gallery.
    """

    def __init__(self, net: ResidualNet, columns: Columns, config: TrainingConfig) -> None:
        super().__init__(net, columns, config)
        self.teacher = Teacher(net, self.projectors, config.scope)
        self.queues = nn.ModuleDict(
            {name: KeyQueue(config.queue, config.projection) for name in columns}
        )

    @torch.no_grad()
    def teach(self, mild: Tensor, strong: Tensor, describe: Describe) -> Tensor:
        """Descriptors of both views, from which the keys are projected."""
        return describe(self.teacher.net, torch.cat([mild, strong]))

    def forward(
        self, pooled: Tensor, taught: Tensor | None, n: int, step: int
    ) -> dict[str, Tensor]:
        """As `SimCLR.forward`, which says what the arguments are."""
        del step
        terms: dict[str, Tensor] = {}
        for name in self.columns:
            rows, keys = self._project(name, pooled, n), self._keys(name, _given(taught), n)
            queue = cast("KeyQueue", self.queues[name])
            pairs = _comparable(name, rows)
            terms[name] = 0.5 * (
                self._against(rows.mild[pairs], keys.strong[pairs], queue)
                + self._against(rows.strong[pairs], keys.mild[pairs], queue)
            )
            if len(rows.mixed):
                every = torch.cat([keys.mild, queue.rows])
                terms[f"{name} mixed"] = self._mixtures(name, rows.mixed, every)
            queue.push(keys.mild)
        return terms

    def after_update(self, net: ResidualNet, step: int) -> None:
        """The teacher follows the network and the projectors."""
        self.teacher.follow(net, self.projectors, teacher_momentum(self.config, step))

    @torch.no_grad()
    def _keys(self, name: str, taught: Tensor, n: int) -> Rows:
        projectors = cast("nn.ModuleDict", self.teacher.head)
        projected = projectors[name](taught[:, self.columns[name]])
        return rows_of_batch(functional.normalize(projected, dim=1), n)

    def _against(self, queries: Tensor, keys: Tensor, queue: KeyQueue) -> Tensor:
        return momentum_contrastive(
            queries,
            keys,
            queue.rows,
            temperature=self.config.temperature,
            decoupled=self.config.decoupled,
        )


class DINO(SimCLR):
    """Semantics by a momentum teacher's prototypes (ICCV 2021); the other projections by SimCLR.

    The mild view is the global crop that the teacher sees, the strong one the local crop. A mixed
    view predicts what the teacher says of each of its sources, in a term of its own.
    """

    centre: Tensor

    def __init__(self, net: ResidualNet, columns: Columns, config: TrainingConfig) -> None:
        roles = {name: part for name, part in columns.items() if name != "semantics"}
        super().__init__(net, roles, config)
        self.semantics = columns["semantics"]
        width = self.semantics.stop - self.semantics.start
        self.head = PrototypeHead(width, config.prototypes, HIDDEN, HIDDEN // 2)
        self.teacher = Teacher(net, self.head, config.scope)
        self.register_buffer("centre", torch.zeros(config.prototypes))

    @torch.no_grad()
    def teach(self, mild: Tensor, strong: Tensor, describe: Describe) -> Tensor:
        """Descriptors of the global crops."""
        del strong
        return describe(self.teacher.net, mild)

    def forward(
        self, pooled: Tensor, taught: Tensor | None, n: int, step: int
    ) -> dict[str, Tensor]:
        """As `SimCLR.forward`, which says what the arguments are."""
        student = rows_of_batch(self.head(pooled[:, self.semantics]), n)
        with torch.no_grad():
            teacher = gather(self.teacher.head(_given(taught)[:, self.semantics]))
        terms = {"semantics": self._predict(student.mild, student.strong, teacher, step)}
        if half := len(student.mixed):
            terms["semantics mixed"] = 0.5 * (
                self._predict(student.mild[:half], student.mixed, teacher[:half], step)
                + self._predict(student.mild[half:], student.mixed, teacher[half:], step)
            )
        self.centre = next_centre(self.centre, teacher[None])
        return terms | super().forward(pooled, None, n, step)

    def before_update(self, step: int) -> None:
        """Prototypes stay where they are while features are random."""
        if step < self.config.prototype_freeze:
            self.head.prototypes.weight.grad = None

    def after_update(self, net: ResidualNet, step: int) -> None:
        """The teacher follows the network and the prototypes."""
        self.teacher.follow(net, self.head, teacher_momentum(self.config, step))

    def _predict(self, seen: Tensor, other: Tensor, teacher: Tensor, step: int) -> Tensor:
        """`seen`: the student's logits of what the teacher saw, which the loss leaves out."""
        return dino_loss(
            torch.stack([seen, other]),
            teacher[None],
            self.centre,
            student_temperature=self.config.student_temperature,
            teacher_temperature=teacher_temperature(self.config, step),
        )


ALIGNMENTS = {"simclr": SimCLR, "moco": MoCo, "dino": DINO}


def _comparable(name: str, rows: Rows) -> Tensor:
    """Images whose two views may be compared: for structure those whose layouts agree."""
    n = len(rows.mild)
    return torch.arange(n // 2 if name == "structure" else n, device=rows.mild.device)


def _given(taught: Tensor | None) -> Tensor:
    if taught is None:
        raise ValueError("this alignment learns from its teacher: give what `teach` returned")
    return taught
