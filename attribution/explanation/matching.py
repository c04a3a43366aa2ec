"""How well the patches of one picture are found in another. Knows patch vectors, no source.

Raw cosines of a network's patches are all alike: every patch shares what is common to pictures.
Taking off the mean and whitening, over the pictures at hand, leaves what tells patches apart; it
needs no statistics to be kept and suits any encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.parts import Part

Vectors = NDArray[np.float32]
Map = NDArray[np.float32]

SHRINKAGE = 0.1
"""Added to every variance before whitening, as a share of the mean variance."""
NEIGHBOUR = 0.325
"""Weight of a neighbouring patch, a Gaussian of 2/3 patch; that of the patch itself is 1."""
_SMOOTHING = 1 / 16
"""Standard deviation of the final smoothing, as a share of the side."""
_TINY = 1e-6  # a variance, far below that of any real picture's patches
_NOTHING = 1e-3  # a length that rounding alone may give


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """How well each patch of a query is found in a source, and each of the source in the query.

    Attributes:
        query: `(h, w)` float32 in [0, 1].
        source: `(h, w)` float32 in [0, 1].
    """

    query: Map
    source: Map


def comparable(maps: Vectors, blocks: Sequence[Part]) -> Vectors:
    """Patch vectors of several pictures, made comparable among them.

    Each block is scaled to unit length, centred and whitened over all patches, and scaled to unit
    length again; so is their concatenation.

    Args:
        maps: `(n, h, w, d)`.
        blocks: slices of a vector, of an encoder's `patch_blocks`.

    Returns:
        `(n, h, w, k)` float32, unit vectors; zero where a patch is no different from the mean.
    """
    rows = maps.reshape(-1, maps.shape[-1])
    parts = [_unit(_whitened(_unit(rows[:, block.columns]))) for block in blocks]
    joined = _unit(np.concatenate(parts, axis=1))
    return joined.reshape(*maps.shape[:3], -1)


def match(views: Vectors, source: Vectors) -> Match:
    r"""Best match of every patch at any place of the other picture, whichever way round it is.

    With :math:`c(p, q)` the cosine of query patch p and source patch q, a pair of patches is as
    alike as their 3x3 neighbourhoods are, which one displacement must explain:

    .. math:: s(p, q) = \sum_o w_o\, c(p + o, q + o) / \sum_o w_o

    with the sum below over the offsets o at which :math:`p + o` exists. The map of the query is
    :math:`\max_q s(p, q)`, smoothed; that of the source likewise.

    Args:
        views: `(2, h, w, k)` comparable vectors of the query and of its left-right mirror image,
            each in its own orientation.
        source: `(h, w, k)` comparable vectors of the source.
    """
    found = [_best(view, source) for view in views]
    upright, mirrored = found[0].query, found[1].query[:, ::-1]
    return Match(
        query=_presentable(np.maximum(upright, mirrored)),
        source=_presentable(np.maximum(found[0].source, found[1].source)),
    )


def smoothing(side: int) -> NDArray[np.float32]:
    """`(side, side)` matrix that smooths a column of values; its rows add up to 1."""
    places = np.arange(side)
    weights = np.exp(-0.5 * ((places[:, None] - places) / max(1e-3, side * _SMOOTHING)) ** 2)
    smooth: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return smooth


def _best(query: Vectors, source: Vectors) -> Match:
    volume = np.einsum("yxd,vud->yxvu", query, source, optimize=True)
    volume = _windowed(_windowed(volume, 0, 2), 1, 3)
    return Match(
        query=volume.max(axis=(2, 3)) / _weights(query),
        source=volume.max(axis=(0, 1)) / _weights(source),
    )


def _windowed(volume: Vectors, first: int, second: int) -> Vectors:
    """Add to each pair its neighbours along one axis of both pictures, displaced alike."""
    before = tuple(slice(-1) if axis in (first, second) else slice(None) for axis in range(4))
    after = tuple(slice(1, None) if axis in (first, second) else slice(None) for axis in range(4))
    summed = volume.copy()
    summed[before] += NEIGHBOUR * volume[after]
    summed[after] += NEIGHBOUR * volume[before]
    return summed


def _weights(picture: Vectors) -> Map:
    """`(h, w)`: what the weights of the neighbours that a patch has add up to, with its own."""
    rows, columns = (_line(side) for side in picture.shape[:2])
    return rows[:, None] * columns


def _line(side: int) -> NDArray[np.float32]:
    neighbours = np.full(side, 2.0, np.float32)
    neighbours[0] -= 1
    neighbours[-1] -= 1
    return 1 + np.float32(NEIGHBOUR) * neighbours


def _presentable(values: Map) -> Map:
    rows, columns = values.shape
    smooth = smoothing(rows) @ values @ smoothing(columns).T
    return np.clip(smooth, 0, 1).astype(np.float32, copy=False)


def _whitened(rows: Vectors) -> Vectors:
    """ZCA or PCA are alike here: only inner products of the result are used."""
    centred = rows - rows.mean(axis=0)
    count, columns = centred.shape
    if count >= columns:
        variances, directions = np.linalg.eigh(centred.T @ centred / count)
        floor = SHRINKAGE * variances.mean() + _TINY
        whitened: Vectors = centred @ (directions / np.sqrt(variances.clip(min=0) + floor))
        return whitened
    # Fewer patches than columns: the same inner products from the smaller matrix of the two.
    variances, directions = np.linalg.eigh(centred @ centred.T / count)
    variances = variances.clip(min=0)
    floor = SHRINKAGE * variances.sum() / columns + _TINY
    scaled: Vectors = directions * np.sqrt(count * variances / (variances + floor))
    return scaled


def _unit(rows: Vectors) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Vectors = np.where(lengths > _NOTHING, rows / np.maximum(lengths, _NOTHING), 0)
    return unit.astype(np.float32, copy=False)
