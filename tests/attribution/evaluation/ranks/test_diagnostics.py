"""Diagnostics of the CCA reading against slow formulas, and on pairs whose answer is known."""

import numpy as np
import pytest
import scipy.linalg

from attribution.evaluation.ranks.diagnostics import cross_covariance


def unit_rows(n, d, seed):
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def slow_cross_covariance(queries, sources, shrinkage):
    def root(covariance):
        ridge = shrinkage * np.trace(covariance) / len(covariance)
        return scipy.linalg.inv(scipy.linalg.sqrtm(covariance + ridge * np.eye(len(covariance))))

    d = queries.shape[1]
    joint = np.cov(np.hstack([queries, sources]).astype(np.float64), rowvar=False, bias=True)
    return root(joint[:d, :d]) @ joint[:d, d:] @ root(joint[d:, d:])


@pytest.mark.parametrize("shrinkage", [0.01, 0.3])
def test_it_equals_the_slow_formula(shrinkage):
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + 3
    queries = sources @ rng.normal(size=(5, 5)) + rng.normal(size=(60, 5))
    found = cross_covariance(queries, sources, shrinkage=shrinkage)
    slow = slow_cross_covariance(queries, sources, shrinkage)
    energy = np.linalg.norm(slow)
    off = slow - np.diag(np.diag(slow))
    assert found.asymmetry == pytest.approx(np.linalg.norm(slow - slow.T) / energy, rel=1e-6)
    assert found.off_diagonal == pytest.approx((np.linalg.norm(off) / energy) ** 2, rel=1e-6)
    assert found.positivity == pytest.approx(
        np.trace(slow) / np.linalg.norm(slow, ord="nuc"), rel=1e-6
    )
    assert found.correlation == pytest.approx(np.linalg.norm(slow, ord="nuc") / 5, rel=1e-6)
    assert (found.pairs, found.columns, found.directions) == (60, 5, 5)
    assert found.variance == pytest.approx(1.0)


def test_aligned_and_decorrelated_pairs_meet_the_reading_and_turned_ones_do_not():
    rng = np.random.default_rng(1)
    sources = rng.normal(size=(4000, 4))
    queries = 0.8 * sources + 0.6 * rng.normal(size=(4000, 4))
    good = cross_covariance(queries, sources)
    assert good.asymmetry < 0.1
    assert good.off_diagonal < 0.01
    assert good.positivity > 0.99
    assert good.correlation == pytest.approx(0.8, abs=0.03)
    quarter = np.zeros((4, 4))
    quarter[[0, 1, 2, 3], [1, 0, 3, 2]] = [1, -1, 1, -1]
    turned = cross_covariance(queries @ quarter, sources)
    assert turned.asymmetry == pytest.approx(2.0, abs=0.05)
    assert turned.off_diagonal > 0.99
    assert abs(turned.positivity) < 0.05
    negated = cross_covariance(-queries, sources)
    assert negated.asymmetry < 0.1
    assert negated.positivity < -0.99


def test_with_few_pairs_only_leading_directions_are_kept_and_said():
    rng = np.random.default_rng(2)
    signal = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 64)) * 5
    rows = (signal + 0.1 * rng.normal(size=(40, 64)) for _ in range(2))
    found = cross_covariance(*rows)
    assert (found.pairs, found.columns, found.directions) == (40, 64, 10)
    assert 0.98 < found.variance < 1.0


def test_unpaired_few_or_constant_rows_are_refused():
    rows = unit_rows(20, 3, 0)
    with pytest.raises(ValueError, match="pair up"):
        cross_covariance(rows, rows[:19])
    with pytest.raises(ValueError, match="too few"):
        cross_covariance(rows[:7], rows[:7])
    with pytest.raises(ValueError, match="constant"):
        cross_covariance(np.ones_like(rows), rows)
