"""Patch matching against formulas written out place by place."""

import itertools
import math

import numpy as np
import pytest

from attribution.explanation.matching import NEIGHBOUR, SHRINKAGE, comparable, match, smoothing
from models.parts import consecutive_parts

BLOCKS = consecutive_parts([("fine", 3), ("coarse", 5)])


def vectors(seed, *shape):
    rows = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def slow_comparable(maps, blocks):
    rows = maps.reshape(-1, maps.shape[-1]).astype(float)
    joined = []
    for block in blocks:
        part = rows[:, block.columns]
        part = part / np.linalg.norm(part, axis=1, keepdims=True)
        part = part - part.mean(axis=0)
        covariance = sum(np.outer(row, row) for row in part) / len(part)
        floor = SHRINKAGE * np.trace(covariance) / len(covariance)
        values, directions = np.linalg.eigh(covariance + floor * np.eye(len(covariance)))
        part = part @ directions @ np.diag(values**-0.5) @ directions.T
        joined.append(part / np.linalg.norm(part, axis=1, keepdims=True))
    rows = np.concatenate(joined, axis=1)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow_best(query, source):
    """Best windowed match of each patch of `query` in `source`; weights missing there count."""
    height, width = query.shape[:2]
    best = np.full((height, width), -np.inf)
    offsets = list(itertools.product((-1, 0, 1), repeat=2))
    for y, x, v, u in itertools.product(range(height), range(width), *map(range, source.shape[:2])):
        total = weights = 0.0
        for dy, dx in offsets:
            if not (0 <= y + dy < height and 0 <= x + dx < width):
                continue
            weight = NEIGHBOUR ** (abs(dy) + abs(dx))
            weights += weight
            if 0 <= v + dy < source.shape[0] and 0 <= u + dx < source.shape[1]:
                total += weight * float(query[y + dy, x + dx] @ source[v + dy, u + dx])
        best[y, x] = max(best[y, x], total / weights)
    return best


def slow_smooth(values):
    height, width = values.shape
    smooth = np.zeros_like(values)
    for y, x in itertools.product(range(height), range(width)):
        total = weights = 0.0
        for v, u in itertools.product(range(height), range(width)):
            weight = math.exp(-(((v - y) / (height / 16)) ** 2 + ((u - x) / (width / 16)) ** 2) / 2)
            total, weights = total + weight * values[v, u], weights + weight
        smooth[y, x] = total / weights
    return smooth


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 1, 2)], ids=["many patches", "few patches"])
def test_comparable_vectors_have_the_inner_products_of_the_formula(shape):
    maps = vectors(0, *shape, 8)
    found = comparable(maps, BLOCKS).reshape(math.prod(shape), -1)
    expected = slow_comparable(maps, BLOCKS)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=2e-4)


@pytest.mark.parametrize("shape", [(5, 4), (1, 6), (20, 18)])
def test_matches_are_those_of_the_formula(shape):
    if math.prod(shape) > 100:  # large enough for the smoothing to reach over a patch
        smooth = np.random.default_rng(1).random(shape)
        fast = smoothing(shape[0]) @ smooth @ smoothing(shape[1]).T
        np.testing.assert_allclose(fast, slow_smooth(smooth), atol=1e-5)
        return
    query, mirrored, source = (vectors(seed, *shape, 6) for seed in range(3))
    found = match(np.stack([query, mirrored]), source)
    upright, flipped = slow_best(query, source), slow_best(mirrored, source)[:, ::-1]
    expected = slow_smooth(np.maximum(upright, flipped)).clip(0, 1)
    np.testing.assert_allclose(found.query, expected, atol=1e-5)
    reverse = np.maximum(slow_best(source, query), slow_best(source, mirrored))
    np.testing.assert_allclose(found.source, slow_smooth(reverse).clip(0, 1), atol=1e-5)


def test_a_picture_is_found_whole_in_itself_and_in_its_mirror_image():
    patches = vectors(4, 12, 12, 64)
    for views in ([patches, patches[:, ::-1]], [patches[:, ::-1], patches]):
        found = match(np.stack(views), patches)
        assert found.query.min() > 0.999
        assert found.source.min() > 0.999


def test_a_blank_picture_matches_nothing():
    blank = np.full((3, 4, 4, 8), 1 / math.sqrt(8), np.float32)
    rows = comparable(blank, BLOCKS)
    assert np.isfinite(rows).all()
    found = match(rows[:2], rows[2])
    assert found.query.max() == found.source.max() == 0
