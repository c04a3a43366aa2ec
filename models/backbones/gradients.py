"""Histograms of oriented gradients: layout that no training can lose."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

CELLS, ORIENTATIONS = 8, 9
COLUMNS = CELLS * CELLS * ORIENTATIONS
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance (BT.601)."""
_CLIP = 0.4


def luminance(images: Tensor) -> Tensor:
    """`(n, 1, h, w)` of `(n, 3, h, w)`."""
    return torch.einsum("c,nchw->nhw", images.new_tensor(LUMA), images)[:, None]


def oriented_gradients(images: Tensor) -> Tensor:
    r"""Dense HOG of the luminance (Dalal and Triggs, CVPR 2005) on a grid of cells.

    Each pixel adds the length of its gradient to the two nearest of nine unsigned orientations
    of its cell; a cell is divided by the energy of the 3x3 cells around it, clipped and
    square-rooted (Hellinger, as RootSIFT), so that a change of contrast leaves it almost as it
    is.

    Args:
        images: `(n, 3, H, W)`, in any linear scale.

    Returns:
        `(n, 576)` non-negative: orientation, row of the cell, column of the cell.
    """
    padded = functional.pad(luminance(images), (1, 1, 1, 1), mode="replicate")[:, 0]
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    length = (across.square() + down.square() + 1e-8).sqrt()
    angle = (torch.atan2(down, across) / math.pi * ORIENTATIONS) % ORIENTATIONS
    apart = all(side % CELLS == 0 for side in images.shape[-2:])
    cells = votes_of_pixels(angle, length) if apart else votes_of_maps(angle, length)
    energy = cells.square().sum(dim=1, keepdim=True)
    around = functional.avg_pool2d(energy, 3, stride=1, padding=1, count_include_pad=False) * 9
    return (cells / (around + 1e-4).sqrt()).clamp(max=_CLIP).sqrt().flatten(1)


def mirrored(gradients: Tensor) -> Tensor:
    """`oriented_gradients` of the mirror images, from those of the images: `(n, 576)` to the same.

    What lies at angle a is at pi - a in the mirror, in the cell at the other end of its row.
    """
    cells = gradients.reshape(-1, ORIENTATIONS, CELLS, CELLS)
    turned = [-orientation % ORIENTATIONS for orientation in range(ORIENTATIONS)]
    return cells[:, turned].flip(-1).flatten(1)


def votes_of_maps(angle: Tensor, length: Tensor) -> Tensor:
    """What each pixel gives to the two orientations beside its angle, as means of each cell.

    Args:
        angle: `(n, H, W)` from 0 to 9.
        length: `(n, H, W)`, divided between the two.

    Returns:
        `(n, 9, 8, 8)`.
    """
    centres = torch.arange(ORIENTATIONS, device=angle.device, dtype=angle.dtype)
    distance = (angle[:, None] - centres[:, None, None]).abs()
    vote = (1 - torch.minimum(distance, ORIENTATIONS - distance)).clamp(min=0)
    return functional.adaptive_avg_pool2d(vote * length[:, None], CELLS)


def votes_of_pixels(angle: Tensor, length: Tensor) -> Tensor:
    """`votes_of_maps` where no cell shares a pixel: two sums a pixel, not a map an orientation."""
    count, height, width = angle.shape
    row = torch.arange(height, device=angle.device) * CELLS // height
    column = torch.arange(width, device=angle.device) * CELLS // width
    below = angle.to(torch.int64)  # 9 and, above it, 10 are 0 and 1 again
    place = (below * CELLS + row[:, None]) * CELLS + column
    above = length * (angle - below)
    sums = length.new_zeros((count, (ORIENTATIONS + 2) * CELLS**2))
    sums.scatter_add_(1, place.flatten(1), (length - above).flatten(1))
    sums[:, CELLS**2 :].scatter_add_(1, place.flatten(1), above.flatten(1))
    cells = sums.view(count, -1, CELLS, CELLS) / (height * width / CELLS**2)
    cells[:, :2] += cells[:, ORIENTATIONS:]
    return cells[:, :ORIENTATIONS]
