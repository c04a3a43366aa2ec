"""DINO: semantics predict a momentum teacher's prototypes, without negatives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attribution.training.distributed import gather
from attribution.training.losses.distillation import dino_loss, next_centre
from attribution.training.objective.alignment import Alignment, Describe
from attribution.training.objective.pairing import Views, rows_of_batch
from attribution.training.objective.projection import (
    HIDDEN,
    Columns,
    Projectors,
    PrototypeHead,
    width_of,
)
from attribution.training.objective.simclr import contrast_in_batch
from attribution.training.objective.teacher import Teacher
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.schedule import teacher_momentum, teacher_temperature
from models.backbones.features import Backbone


class DINO(Alignment):
    """Semantics by a momentum teacher's prototypes (Caron et al., ICCV 2021).

    With local crops the teacher sees the mild and the strong view, and the student, who sees all
    crops, predicts what it says of every other one (multi-crop). Without, the mild view is the
    global crop that the teacher sees and the strong one takes the part of a local crop. A mixed
    view predicts what the teacher says of each of its sources, in a term of its own. The other
    two projections, where there are such, are compared within the batch, as SimCLR compares them.
    """

    centre: Tensor

    def __init__(self, net: Backbone, columns: Columns, config: TrainingConfig) -> None:
        super().__init__()
        self.config, self.semantics = config, columns["semantics"]
        roles = {name: part for name, part in columns.items() if name != "semantics"}
        self.projectors = Projectors(roles, config.projection, config.projector)
        width = width_of(self.semantics)
        self.head = PrototypeHead(width, config.prototypes, HIDDEN, HIDDEN // 2, config.projector)
        self.teacher = Teacher(net, self.head, config.scope)
        self.register_buffer("centre", torch.zeros(config.prototypes))

    def forward(
        self,
        pooled: Tensor,
        views: Views,
        describe: Describe,
        step: int,
        local: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """As `Alignment.forward`, which says what the arguments are."""
        n = len(views.mild)
        # While features are random, prototypes stay where they are.
        self.head.prototypes.requires_grad_(step >= self.config.prototype_freeze)
        student = rows_of_batch(self.head(pooled[:, self.semantics]), n)
        crops = [student.mild, student.strong]
        if local is not None:
            logits = gather(self.head(local[:, :, self.semantics]))
            crops += logits.unbind(dim=1)
        teacher = self._taught(
            [views.mild] if local is None else [views.mild, views.strong], describe
        )
        terms = {"semantics": self._predict(crops, teacher, step)}
        if half := len(student.mixed):
            mild, mixed, taught = student.mild, student.mixed, teacher[:1]
            terms["semantics mixed"] = 0.5 * (
                self._predict([mild[:half], mixed], taught[:, :half], step)
                + self._predict([mild[half:], mixed], taught[:, half:], step)
            )
        self.centre = next_centre(self.centre, teacher)
        roles = {name: rows_of_batch(row, n) for name, row in self.projectors(pooled).items()}
        return terms | contrast_in_batch(roles, self.config)

    def after_update(self, net: Backbone, step: int) -> None:
        """The teacher follows the network and the prototypes."""
        self.teacher.follow(net, self.head, teacher_momentum(self.config, step))

    @torch.no_grad()
    def _taught(self, crops: Sequence[Tensor], describe: Describe) -> Tensor:
        """The teacher's logits `(t, n, k)` of the whole batch."""
        seen = describe(self.teacher.net, torch.cat(list(crops)))[:, self.semantics]
        return torch.stack([gather(each) for each in self.teacher.head(seen).chunk(len(crops))])

    def _predict(self, crops: Sequence[Tensor], teacher: Tensor, step: int) -> Tensor:
        """Of the student's logits, those of what the teacher saw come first, in its order."""
        return dino_loss(
            torch.stack(list(crops)),
            teacher,
            self.centre,
            student_temperature=self.config.student_temperature,
            teacher_temperature=teacher_temperature(self.config, step),
        )
