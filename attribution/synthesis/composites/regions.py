"""Random regions of a frame, hard and soft; knows no picture."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

RECTANGLE_SHARE = (0.25, 0.75)
"""Of the frame, so that both what is pasted and what it is pasted on can be recognised."""
OBJECT_SHARE = (0.1, 0.4)
FEATHER = 0.25
"""Width of a soft border, as a share of the region's radius."""


def rectangles(
    count: int,
    size: tuple[int, int],
    generator: Generator,
    *,
    share: tuple[float, float] = RECTANGLE_SHARE,
) -> Tensor:
    """`(count, 1, h, w)` bool: a rectangle each, wholly inside the frame, stretched a little.

    Args:
        count: how many.
        size: height and width of the frame in pixels.
        generator: of everything random; it decides on the device.
        share: least and largest share of the frame.
    """
    device, (low, high) = generator.device, share
    area = low + (high - low) * torch.rand(count, generator=generator, device=device)
    stretch = 0.7 + 0.6 * torch.rand(count, generator=generator, device=device)
    width = (area.sqrt() * stretch).clamp(max=1.0)
    height = (area / width).clamp(max=1.0)
    left = (1 - width) * torch.rand(count, generator=generator, device=device)
    top = (1 - height) * torch.rand(count, generator=generator, device=device)
    down, across = (_centres(pixels, device) for pixels in size)
    columns = (across >= left[:, None]) & (across < (left + width)[:, None])
    rows = (down >= top[:, None]) & (down < (top + height)[:, None])
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def ellipses(
    count: int,
    size: tuple[int, int],
    generator: Generator,
    *,
    share: tuple[float, float] = OBJECT_SHARE,
    feather: float = FEATHER,
) -> Tensor:
    """`(count, 1, h, w)` float32 in [0, 1]: an ellipse each, its middle in the frame's inner half.

    Args:
        count: how many.
        size: height and width of the frame in pixels.
        generator: of everything random; it decides on the device.
        share: least and largest share of the frame, before the frame cuts anything off.
        feather: width of the border over which it fades, as a share of the radius; 0 is hard.
    """
    device, (low, high) = generator.device, share
    area, turn, left, top = torch.rand(4, count, generator=generator, device=device)
    radius = ((low + (high - low) * area) / math.pi).sqrt()
    stretch = (0.7 + 0.6 * turn)[:, None]
    down, across = (_centres(pixels, device) for pixels in size)
    x = (across - (0.25 + 0.5 * left)[:, None]) / (radius[:, None] * stretch)
    y = (down - (0.25 + 0.5 * top)[:, None]) / (radius[:, None] / stretch)
    distance = (y[:, :, None].square() + x[:, None, :].square()).sqrt()[:, None]
    softened: Tensor = (1 - distance) / feather + 0.5 if feather else (distance < 1).float()
    return softened.clamp(0, 1)


def _centres(pixels: int, device: torch.device) -> Tensor:
    return (torch.arange(pixels, device=device) + 0.5) / pixels
