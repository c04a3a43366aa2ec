"""Alignment, uniformity and effective rank against slow formulas and known values."""

import itertools
import math

import pytest
import torch

from attribution.training.run.spread import alignment, effective_rank, uniformity
from tests.support.tensors import unit_rows


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_alignment_is_the_mean_power_of_distances(power):
    a, b = unit_rows(7, 5, 1), unit_rows(7, 5, 2)
    slow = sum(math.dist(x, y) ** power for x, y in zip(a.tolist(), b.tolist(), strict=True)) / 7
    assert alignment(a, b, power) == pytest.approx(slow)
    assert alignment(a, a, power) == 0


@pytest.mark.parametrize("sharpness", [0.5, 2.0])
@pytest.mark.parametrize("n", [2, 9])
def test_uniformity_is_the_log_mean_potential_of_pairs(sharpness, n):
    rows = unit_rows(n, 5, n)
    potentials = [
        math.exp(-sharpness * math.dist(x, y) ** 2)
        for x, y in itertools.combinations(rows.tolist(), 2)
    ]
    expected = math.log(sum(potentials) / len(potentials))
    assert uniformity(rows, sharpness) == pytest.approx(expected)


def test_uniformity_at_its_ends():
    assert uniformity(unit_rows(1, 8, 0).repeat(20, 1)) == pytest.approx(0)
    assert uniformity(unit_rows(500, 256, 0)) == pytest.approx(-4, abs=0.05)
    with pytest.raises(ValueError, match="give more"):
        uniformity(unit_rows(1, 8, 0))


def test_effective_rank_counts_directions():
    flat = torch.zeros(300, 10, dtype=torch.float64)
    flat[:, :3] = unit_rows(300, 3, 7)
    assert effective_rank(flat) == pytest.approx(3, abs=0.1)
