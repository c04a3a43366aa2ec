"""The patch search and vote against slow formulas written out pixel by pixel."""

import math

import numpy as np
import pytest
import torch

from attribution.synthesis import nearest_neighbours
from attribution.synthesis.nearest_neighbours import (
    grid,
    nearest,
    patches_of,
    principal_axes,
    vote,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def slow_nearest(queries: torch.Tensor, keys: torch.Tensor, alpha: float) -> list[int]:
    def distance(q: list[float], k: list[float]) -> float:
        return sum((a - b) ** 2 for a, b in zip(q, k, strict=True)) / len(q)

    table = [[distance(q, k) for k in keys.tolist()] for q in queries.tolist()]
    closest = [min(row[j] for row in table) for j in range(len(keys))]
    scores = [[d / (alpha + c) for d, c in zip(row, closest, strict=True)] for row in table]
    return [row.index(min(row)) for row in scores]


@pytest.mark.parametrize("alpha", [1e-3, 0.05, 10.0])
@pytest.mark.parametrize(("queries", "keys", "dimension"), [(1, 1, 3), (9, 14, 5), (25, 8, 27)])
def test_nearest_equals_the_slow_formula(queries, keys, dimension, alpha):
    q, k = noise(queries, dimension, seed=1), noise(keys, dimension, seed=2)
    assert nearest(q, k, alpha=alpha).tolist() == slow_nearest(q, k, alpha)


def test_blocks_do_not_change_the_answer(monkeypatch):
    q, k = noise(50, 6, seed=1), noise(40, 6, seed=2)
    whole = nearest(q, k, alpha=0.01)
    monkeypatch.setattr(nearest_neighbours, "_BLOCK_ELEMENTS", 3 * len(k) + 1)
    assert torch.equal(nearest(q, k, alpha=0.01), whole)


def test_a_large_alpha_finds_the_plain_neighbour_and_a_small_one_uses_more_keys():
    q, k = noise(200, 12, seed=1), noise(200, 12, seed=2)
    assert torch.equal(nearest(q, k, alpha=1e6), torch.cdist(q, k).argmin(dim=1))
    used = [nearest(q, k, alpha=alpha).unique().numel() for alpha in (1e6, 1e-3)]
    assert used[1] > used[0]


@pytest.mark.parametrize(("height", "width", "side"), [(5, 7, 3), (4, 4, 4), (1, 6, 1), (9, 5, 5)])
def test_patches_are_the_windows_row_by_row(height, width, side):
    image = noise(3, height, width)
    windows = [
        image[:, top : top + side, left : left + side].flatten()
        for top in range(height - side + 1)
        for left in range(width - side + 1)
    ]
    assert torch.equal(patches_of(image, side), torch.stack(windows))


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="choose a side from 1 to 4"):
        patches_of(noise(3, 4, 9), 5)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_vote_equals_the_weighted_mean_pixel_by_pixel(stride):
    height, width, side = 8, 9, 3
    rows, columns = height - side + 1, width - side + 1
    positions = grid(rows, columns, stride=stride)
    patches = noise(len(positions), 3 * side * side)
    total, weight = np.zeros((3, height, width)), np.zeros((height, width))
    windows = patches.reshape(-1, 3, side, side).numpy()
    for window, position in zip(windows, positions.tolist(), strict=True):
        top, left = divmod(position, columns)
        for y in range(side):
            for x in range(side):
                w = math.exp(-((y - 1) ** 2 + (x - 1) ** 2) / (2 * (side / 4) ** 2))
                total[:, top + y, left + x] += w * window[:, y, x]
                weight[top + y, left + x] += w
    voted = vote(patches, positions, size=(height, width), side=side)
    np.testing.assert_allclose(voted.numpy(), total / weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_an_image_is_the_vote_of_its_own_patches(stride):
    image = noise(3, 11, 10)
    positions = grid(11 - 3 + 1, 10 - 3 + 1, stride=stride)
    voted = vote(patches_of(image, 3)[positions], positions, size=(11, 10), side=3)
    np.testing.assert_allclose(voted, image, atol=1e-5)


def test_grid_keeps_the_last_row_and_column():
    assert grid(4, 6, stride=3).tolist() == [0, 3, 5, 18, 21, 23]


def test_principal_axes_are_orthonormal_and_keep_what_varies():
    vectors = noise(300, 2).double() @ noise(2, 10, seed=3).double() + 5
    axes = principal_axes(vectors, dimension=2)
    np.testing.assert_allclose(axes.T @ axes, torch.eye(2), atol=1e-9)
    np.testing.assert_allclose(torch.pdist(vectors @ axes), torch.pdist(vectors), rtol=1e-6)
    assert principal_axes(vectors, dimension=99).shape == (10, 10)
