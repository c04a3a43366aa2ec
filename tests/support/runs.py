"""Runs of training: images that they learn from, how they are killed, and what they have learnt."""

import torch
from torch import nn

from attribution.training.data.images import ImageSet


def image_set(n: int = 40, side: int = 48, seed: int = 0) -> ImageSet:
    """So many squares of smooth colours."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 6, 6, generator=generator)
    pixels = torch.nn.functional.interpolate(coarse, size=side, mode="bilinear").clamp(0, 1)
    return ImageSet((pixels * 255).to(torch.uint8), tuple(f"{i:03d}" for i in range(n)))


def parameters(net: nn.Module) -> torch.Tensor:
    """All values of a network in one row."""
    return torch.cat([value.flatten().float() for value in net.state_dict().values()])


class Killed(BaseException):
    """Stands for the end of the process between two steps."""


def killed_after(last: int):
    """What ends a run once it reports the step after this one."""

    def kill(report):
        if report.step == last + 1:
            raise Killed

    return kill
