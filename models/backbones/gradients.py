"""Histograms of oriented gradients: layout that no training can lose."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

CELLS, ORIENTATIONS = 8, 9
COLUMNS = CELLS * CELLS * ORIENTATIONS
_LUMA = (0.299, 0.587, 0.114)
_CLIP = 0.4


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
    luma = torch.einsum("c,nchw->nhw", images.new_tensor(_LUMA), images)[:, None]
    padded = functional.pad(luma, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    length = (across.square() + down.square() + 1e-8).sqrt()
    angle = (torch.atan2(down, across) / math.pi * ORIENTATIONS) % ORIENTATIONS
    centres = torch.arange(ORIENTATIONS, device=images.device, dtype=images.dtype)
    distance = (angle - centres[:, None, None]).abs()
    vote = (1 - torch.minimum(distance, ORIENTATIONS - distance)).clamp(min=0)
    cells = functional.adaptive_avg_pool2d(vote * length, CELLS)
    energy = cells.square().sum(dim=1, keepdim=True)
    around = functional.avg_pool2d(energy, 3, stride=1, padding=1, count_include_pad=False) * 9
    return (cells / (around + 1e-4).sqrt()).clamp(max=_CLIP).sqrt().flatten(1)
