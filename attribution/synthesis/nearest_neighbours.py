"""Patches of an image, their nearest neighbours, and the vote that folds them into an image again.

Pure tensor maths, exact unless it says otherwise; it knows no pyramid, no seed and no file.
Formulas of Granot et al., "Drop the GAN: In Defense of Patches Nearest Neighbors as Single Image
Generative Models", CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

# Distances held at once: 4 MB of float32 stay in the cache of one core, which doubles the speed.
_BLOCK_ELEMENTS = 1_000_000
# Distances kept from the first look at them to the second: 32 MB. Where there are more, computing
# them again is quicker than reading them from memory.
_KEPT_ELEMENTS = 8_000_000


def patches_of(image: torch.Tensor, side: int) -> torch.Tensor:
    """Every `side` x `side` patch that lies wholly inside `image`.

    Args:
        image: (c, h, w) float32.
        side: pixels, at most the shorter side of the image.

    Returns:
        ((h - side + 1) * (w - side + 1), c * side * side), row by row from the top left.

    Raises:
        ValueError: the patch is larger than the image.
    """
    _, height, width = image.shape
    if not 1 <= side <= min(height, width):
        raise ValueError(
            f"a patch of {side} pixels does not fit an image of {width}x{height}; "
            f"choose a side from 1 to {min(height, width)}"
        )
    return functional.unfold(image.unsqueeze(0), side)[0].T.contiguous()


def grid(height: int, width: int, *, stride: int) -> torch.Tensor:
    """Row numbers of every `stride`-th patch of a grid; its last row and column always belong.

    Args:
        height: patches from top to bottom.
        width: patches from left to right.
        stride: patches from one chosen patch to the next, in both directions.

    Returns:
        (n,) int64, ascending, into `patches_of` of an image with such a grid.
    """
    rows = torch.tensor(sorted({*range(0, height, stride), height - 1}))
    columns = torch.tensor(sorted({*range(0, width, stride), width - 1}))
    return (rows[:, None] * width + columns[None, :]).flatten()


def nearest(queries: torch.Tensor, keys: torch.Tensor, *, alpha: float) -> torch.Tensor:
    """The key nearest to each query, by a score that gives unused keys a better chance.

    With d_ij the squared distance of query i and key j divided by the dimension, query i takes the
    j that minimises `d_ij / (alpha + min_l d_lj)` (equation 2 of the paper). A key that no query
    resembles has a large denominator, so it wins sooner: the smaller `alpha`, the more of the
    keys appear in the answer.

    Args:
        queries: (n, d) float32.
        keys: (m, d) float32.
        alpha: above 0; the larger, the closer to the plain nearest neighbour.

    Returns:
        (n,) int64 into `keys`.
    """
    kept = len(queries) * len(keys) <= _KEPT_ELEMENTS
    blocks = list(_distance_blocks(queries, keys, kept=True)) if kept else None
    closest = torch.full((len(keys),), float("inf"))
    for block in blocks or _distance_blocks(queries, keys):
        closest = torch.minimum(closest, block.amin(dim=0))
    weights = 1.0 / (alpha + closest.clamp(min=0))
    # NumPy's argmin, which takes the first of equals, is several times faster than torch's.
    found = [
        block.mul_(weights).numpy().argmin(axis=1)
        for block in blocks or _distance_blocks(queries, keys)
    ]
    return torch.from_numpy(np.concatenate(found))


def principal_axes(vectors: torch.Tensor, *, dimension: int) -> torch.Tensor:
    """The `dimension` orthonormal directions along which `vectors` (n, d) vary most.

    Returns:
        (d, min(dimension, d)) float32. `vectors @ axes` keeps most of every distance, so that a
        search among tens of thousands of patches costs a fraction; it is then approximate.
    """
    centred = vectors - vectors.mean(dim=0)
    _, axes = torch.linalg.eigh(centred.T @ centred)
    strongest: torch.Tensor = axes.flip(dims=(1,))[:, :dimension]
    return strongest.contiguous()


def vote(
    patches: torch.Tensor, positions: torch.Tensor, *, size: tuple[int, int], side: int
) -> torch.Tensor:
    """An image from overlapping patches: each pixel is the weighted mean of what covers it.

    The weight is a Gaussian of the distance to the patch's centre (standard deviation a quarter
    of the side), because a patch knows its centre best.

    Args:
        patches: (n, c * side * side).
        positions: (n,) rows of the grid of `patches_of`; together they must cover the image,
            as those of `grid` do for any stride up to `side`.
        size: (height, width) of the image.
        side: of the patches, in pixels.

    Returns:
        (c, height, width) float32.
    """
    height, width = size
    offsets = torch.arange(side) - (side - 1) / 2
    bell = torch.exp(-((offsets / (side / 4)) ** 2) / 2)
    window = torch.outer(bell, bell).flatten()
    channels = patches.shape[1] // (side * side)
    slots = (height - side + 1) * (width - side + 1)

    weighted = patches.new_zeros((slots, channels + 1, side * side))
    weighted[positions, :channels] = patches.reshape(-1, channels, side * side) * window
    weighted[positions, channels] = window
    folded = functional.fold(weighted.flatten(1).T.unsqueeze(0), size, side)[0]
    return folded[:channels] / folded[channels:]


def _distance_blocks(
    queries: torch.Tensor, keys: torch.Tensor, *, kept: bool = False
) -> Iterator[torch.Tensor]:
    """Mean squared differences of successive queries (rows) to all keys (columns).

    |q|^2 - 2 q.k + |k|^2 is one product of vectors with two more components. Cancellation may
    leave a tiny negative number where patches are equal. Each block lies in the same memory and is
    overwritten by the next, unless they are `kept`.
    """
    dimension = queries.shape[1]
    left = functional.pad(queries, (0, 2), value=1.0)
    left[:, -1] = queries.square().mean(dim=1)
    right = functional.pad(keys.T * (-2 / dimension), (0, 0, 0, 2), value=1.0)
    right[-2] = keys.square().mean(dim=1)
    rows = max(1, _BLOCK_ELEMENTS // len(keys))
    memory = torch.empty((len(left) if kept else rows, len(keys)))
    for part, start in zip(torch.split(left, rows), range(0, len(left), rows), strict=True):
        place = start if kept else 0
        yield torch.mm(part, right, out=memory[place : place + len(part)])
