"""Queries taken apart into candidates, held to the conditions that only the best mixture meets."""

from types import SimpleNamespace

import numpy as np
import pytest
from share_rivals import coefficients

from attribution.retrieval.fusion import Fusion
from models.parts import Part

COLUMNS = 9


def taken_apart(rows, query, *, views=1):
    """Coefficients of the rows of a gallery in a query, as the benchmark asks for them."""
    reference = np.zeros((0, COLUMNS), np.float32)
    fusion = Fusion((Part("whole", 0, COLUMNS),), reference, views)
    attributor = SimpleNamespace(
        calibration=SimpleNamespace(reference=SimpleNamespace(fusion=fusion)),
        encoder=SimpleNamespace(card=SimpleNamespace(hubness=0.0)),
        index=SimpleNamespace(vectors=lambda ids: rows[ids]),
    )
    return coefficients(attributor, query[None], np.arange(len(rows))[None])[0]


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("count", [1, 4, 12])
def test_no_other_mixture_is_nearer(seed, count):
    rng = np.random.default_rng(seed)
    rows = np.abs(rng.normal(size=(count, COLUMNS))).astype(np.float32)
    query = rng.normal(size=COLUMNS).astype(np.float32)
    found = taken_apart(rows, query)
    slope = rows.astype(np.float64) @ (rows.T.astype(np.float64) @ found - query)
    # Karush, Kuhn and Tucker: nothing negative, no way down, level wherever a row takes part.
    assert (found >= 0).all()
    assert (slope > -1e-6).all()
    assert np.abs(slope[found > 0]).max(initial=0) < 1e-6


def test_a_mixture_is_taken_apart():
    rows = np.eye(3, COLUMNS, dtype=np.float32)
    query = np.array([0.7, 0.0, 0.3, 0.5, *[0] * 5], np.float32)
    assert taken_apart(rows, query) == pytest.approx([0.7, 0.0, 0.3])


def test_nothing_fits():
    rows = np.eye(3, COLUMNS, dtype=np.float32)
    assert taken_apart(rows, -np.ones(COLUMNS, np.float32)).tolist() == [0, 0, 0]


def test_of_two_views_the_one_that_is_explained_best_counts():
    rows = np.eye(3, COLUMNS, dtype=np.float32)
    unlike, like = np.eye(COLUMNS, dtype=np.float32)[7], np.float32(0.6) * rows[1]
    assert taken_apart(rows, np.concatenate([unlike, like]), views=2) == pytest.approx([0, 0.6, 0])
