"""DINO: semantics predict a momentum teacher's prototypes, without negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from attribution.training.distributed import gather
from attribution.training.losses.distillation import dino_loss, next_centre
from attribution.training.objective.alignment import Alignment, Describe
from attribution.training.objective.pairing import Views, rows_of_batch
from attribution.training.objective.projection import HIDDEN, Columns, Projectors, PrototypeHead
from attribution.training.objective.simclr import contrast_in_batch
from attribution.training.objective.teacher import Teacher
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.schedule import teacher_momentum, teacher_temperature
from models.backbones.residual import ResidualNet


class DINO(Alignment):
    """Semantics by a momentum teacher's prototypes (Caron et al., ICCV 2021).

    The mild view is the global crop that the teacher sees, the strong one the local crop. A mixed
    view predicts what the teacher says of each of its sources, in a term of its own. The other
    two projections are compared within the batch, as SimCLR compares them.
    """

    centre: Tensor

    def __init__(self, net: ResidualNet, columns: Columns, config: TrainingConfig) -> None:
        super().__init__()
        self.config, self.semantics = config, columns["semantics"]
        roles = {name: part for name, part in columns.items() if name != "semantics"}
        self.projectors = Projectors(roles, config.projection)
        width = self.semantics.stop - self.semantics.start
        self.head = PrototypeHead(width, config.prototypes, HIDDEN, HIDDEN // 2)
        self.teacher = Teacher(net, self.head, config.scope)
        self.register_buffer("centre", torch.zeros(config.prototypes))

    def forward(
        self, pooled: Tensor, views: Views, describe: Describe, step: int
    ) -> dict[str, Tensor]:
        """As `Alignment.forward`, which says what the arguments are."""
        n = len(views.mild)
        # While features are random, prototypes stay where they are.
        self.head.prototypes.requires_grad_(step >= self.config.prototype_freeze)
        student = rows_of_batch(self.head(pooled[:, self.semantics]), n)
        with torch.no_grad():
            seen = describe(self.teacher.net, views.mild)
            teacher = gather(self.teacher.head(seen[:, self.semantics]))
        terms = {"semantics": self._predict(student.mild, student.strong, teacher, step)}
        if half := len(student.mixed):
            terms["semantics mixed"] = 0.5 * (
                self._predict(student.mild[:half], student.mixed, teacher[:half], step)
                + self._predict(student.mild[half:], student.mixed, teacher[half:], step)
            )
        self.centre = next_centre(self.centre, teacher[None])
        roles = {name: rows_of_batch(row, n) for name, row in self.projectors(pooled).items()}
        return terms | contrast_in_batch(roles, self.config)

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
