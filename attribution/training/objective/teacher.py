"""The momentum teacher of MoCo and DINO: weights that follow those of a student slowly."""

from __future__ import annotations

from copy import deepcopy
from typing import Self

import torch
from torch import nn

from attribution.training.recipe.scope import train_within
from models.backbones.features import Backbone


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    r"""Move the teacher's parameters in place, :math:`\theta_t \gets m\theta_t + (1-m)\theta_s`.

    He et al., CVPR 2020, and Caron et al., ICCV 2021. Buffers stay: a teacher in training mode
    gathers batch statistics of its own, which fit its weights as the student's would not.

    Args:
        teacher: of the student's structure, usually a deep copy that requires no gradient.
        student: the module that learns.
        momentum: :math:`m` in [0, 1]; 1 leaves the teacher as it is.

    Raises:
        ValueError: parameters of other names or shapes.
    """
    followers = dict(teacher.named_parameters())
    leaders = dict(student.named_parameters())
    if {name: p.shape for name, p in followers.items()} != {
        name: p.shape for name, p in leaders.items()
    }:
        raise ValueError(
            "teacher and student differ in parameters: make the teacher with copy.deepcopy"
        )
    for name, follower in followers.items():
        follower.lerp_(leaders[name], 1 - momentum)


class Teacher(nn.Module):
    """The momentum copy of a network and of what stands on it."""

    def __init__(self, net: Backbone, head: nn.Module, scope: str) -> None:
        super().__init__()
        self.net, self.head, self.scope = deepcopy(net), deepcopy(head), scope
        self.requires_grad_(requires_grad=False)

    def follow(self, net: Backbone, head: nn.Module, momentum: float) -> None:
        """Move towards the student."""
        update_teacher(self.net, net, momentum)
        update_teacher(self.head, head, momentum)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002  (as in torch)
        """Statistics of frozen blocks stand still in the teacher too."""
        super().train(mode)
        if mode:
            train_within(self.net, self.scope)
        return self
