"""Patches of an image, their nearest neighbours, and the vote that folds them into an image again.

Pure tensor maths, exact unless it says otherwise; it knows no pyramid, no seed and no file.
Formulas of Granot et al., "Drop the GAN: In Defense of Patches Nearest Neighbors as Single Image
Generative Models", CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional

# Distances held at once: 1 MB of float32 stays in the cache of one core, and a block of all queries
# and a few keys is read from there for everything that is to be known of these keys.
_BLOCK_ELEMENTS = 250_000


def patches_of(
    image: torch.Tensor, side: int, positions: torch.Tensor | None = None
) -> torch.Tensor:
    """Every `side` x `side` patch that lies wholly inside `image`, or those at some positions.

    Args:
        image: (c, h, w) float32.
        side: pixels, at most the shorter side of the image.
        positions: (n,) int64, row by row from the top left; all where nothing is said.

    Returns:
        ((h - side + 1) * (w - side + 1), c * side * side), or (n, c * side * side).

    Raises:
        ValueError: the patch is larger than the image.
    """
    _, height, width = image.shape
    if not 1 <= side <= min(height, width):
        raise ValueError(
            f"a patch of {side} pixels does not fit an image of {width}x{height}; "
            f"choose a side from 1 to {min(height, width)}"
        )
    windows = image.unfold(1, side, 1).unfold(2, side, 1).permute(1, 2, 0, 3, 4)
    if positions is None:
        return windows.flatten(2).flatten(0, 1)
    across = width - side + 1
    return windows[positions // across, positions % across].flatten(1)


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
    best = torch.full((len(queries),), float("inf"))
    found = torch.zeros(len(queries), dtype=torch.int64)
    for start, block in _distance_blocks(queries, keys):
        closest = block.amin(dim=1, keepdim=True).clamp(min=0)
        scores = block.mul_(1.0 / (alpha + closest))
        reached = scores.amin(dim=0)
        better = (reached < best).nonzero()[:, 0]  # few, but for the first blocks
        best[better] = reached[better]
        # NumPy's argmin, which takes the first of equals, is several times faster than torch's.
        places = scores.T[better].contiguous().numpy().argmin(axis=1)
        found[better] = torch.from_numpy(places) + start
    return found


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
    weighted = window * functional.pad(
        patches.view(-1, channels, side * side), (0, 0, 0, 1), value=1.0
    )
    across = width - side + 1
    corners = positions // across * width + positions % across
    steps = (torch.arange(side)[:, None] * width + torch.arange(side)).flatten()
    planes = torch.arange(channels + 1)[:, None, None] * (height * width)
    # A sum has its terms in the order of their places in the patches, on every machine.
    pixels = (planes + steps[:, None] + corners).flatten()
    folded = patches.new_zeros((channels + 1) * height * width)
    folded.index_add_(0, pixels, weighted.permute(1, 2, 0).flatten())
    folded = folded.view(channels + 1, height, width)
    return folded[:channels] / folded[channels:]


def _distance_blocks(
    queries: torch.Tensor, keys: torch.Tensor
) -> Iterator[tuple[int, torch.Tensor]]:
    """Mean squared differences of successive keys (rows) to all queries (columns).

    |k|^2 - 2 k.q + |q|^2 is one product of vectors with two more components. Cancellation may
    leave a tiny negative number where patches are equal.

    Yields:
        The number of the block's first key, and the block: it lies in the same memory as the one
        before, which it overwrites.
    """
    dimension = queries.shape[1]
    left = functional.pad(keys * (-2 / dimension), (0, 2), value=1.0)
    left[:, -2] = keys.square().mean(dim=1)
    right = functional.pad(queries.T, (0, 0, 0, 2), value=1.0)
    right[-1] = queries.square().mean(dim=1)
    rows = max(1, _BLOCK_ELEMENTS // len(queries))
    memory = torch.empty((min(rows, len(keys)), len(queries)))
    for part, start in zip(torch.split(left, rows), range(0, len(left), rows), strict=True):
        yield start, torch.mm(part, right, out=memory[: len(part)])
