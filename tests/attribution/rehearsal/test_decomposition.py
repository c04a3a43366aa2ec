"""Non-negative least squares against SciPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from attribution.rehearsal.decomposition import non_negative_least_squares


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 100_000), st.integers(1, 12), st.integers(1, 12))
def test_it_equals_scipy(seed, d, k):
    rng = np.random.default_rng(seed)
    matrix, target = rng.normal(size=(d + k, k)), rng.normal(size=d + k)
    assert non_negative_least_squares(matrix, target) == pytest.approx(
        nnls(matrix, target)[0], abs=1e-8
    )


@pytest.mark.parametrize("seed", range(5))
def test_wide_and_repeated_columns_reach_the_same_residual(seed):
    rng = np.random.default_rng(seed)
    matrix = np.abs(rng.normal(size=(6, 5)))
    matrix = np.hstack([matrix, matrix[:, :3]])
    target = rng.normal(size=6)
    found = non_negative_least_squares(matrix, target)
    assert (found >= 0).all()
    assert np.linalg.norm(matrix @ found - target) == pytest.approx(nnls(matrix, target)[1])


def test_a_mixture_is_taken_apart():
    rows = np.eye(4)[:, :3]
    assert non_negative_least_squares(rows, np.array([0.7, 0.0, 0.3, 0.5])) == pytest.approx(
        [0.7, 0.0, 0.3]
    )


def test_nothing_fits():
    assert non_negative_least_squares(np.eye(3), -np.ones(3)).tolist() == [0, 0, 0]
    assert non_negative_least_squares(np.zeros((3, 0)), np.ones(3)).shape == (0,)
