"""Fused retrieval equals scoring every row, also with several parts and filters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.index import FaissIndex, change_batch
from attribution.retrieval import Fusion, retrieve, unique_per_row
from models.parts import consecutive_parts

PARTS = consecutive_parts([("structure", 4), ("appearance", 6)])


def unit_rows(n, seed, parts=PARTS):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, parts[-1].stop)).astype(np.float32)
    for part in parts:
        rows[:, part.columns] /= np.linalg.norm(rows[:, part.columns], axis=1, keepdims=True)
    return rows


def slow_score(query, row, reference, parts):
    """The rule in words: largest over parts of the cosine in the query's own deviations."""
    scores = []
    for part in parts:
        against = [float(query[part.columns] @ other[part.columns]) for other in reference]
        cosine = float(query[part.columns] @ row[part.columns])
        scores.append((cosine - np.mean(against)) / np.std(against, ddof=1))
    return max(scores)


def filled_index(rows, ids, collections, parts=PARTS):
    index = FaissIndex(parts, parts[-1].stop, "model", "epoch")
    index.apply(
        change_batch(
            1, dimension=rows.shape[1], add_ids=ids, add_vectors=rows, add_collections=collections
        )
    )
    return index


def test_fused_scores_equal_the_rule_in_words():
    queries, rows, reference = unit_rows(3, 1), unit_rows(5, 2), unit_rows(40, 3)
    fused = Fusion(PARTS, reference).scores(queries, rows)
    slow = [[slow_score(q, r, reference, PARTS) for r in rows] for q in queries]
    assert np.allclose(fused, slow, atol=1e-3)


def test_own_rows_and_shared_rows_score_alike():
    queries, rows = unit_rows(3, 1), unit_rows(5, 2)
    fusion = Fusion(PARTS, unit_rows(40, 3))
    shared = fusion.scores(queries, rows)
    own = fusion.scores(queries, np.broadcast_to(rows, (3, *rows.shape)))
    assert np.allclose(shared, own, atol=1e-5)


def test_one_part_scores_by_cosine():
    parts = consecutive_parts([("whole", 5)])
    queries, rows = unit_rows(3, 1, parts), unit_rows(7, 2, parts)
    fusion = Fusion(parts, np.zeros((0, 5), np.float32))
    assert np.allclose(fusion.scores(queries, rows), queries @ rows.T)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(0, 60), k=st.integers(1, 20), seed=st.integers(0, 1000), some=st.booleans())
def test_retrieval_equals_scoring_everything(n, k, seed, some):
    rows, queries = unit_rows(n, seed), unit_rows(3, seed + 1)
    ids = np.arange(10, 10 + n)
    collections = ["a" if i % 3 else "b" for i in range(n)]
    fusion = Fusion(PARTS, unit_rows(30, 9))
    index = filled_index(rows, ids, collections)
    wanted = frozenset({"b"}) if some else None
    inside = [i for i in range(n) if not some or collections[i] == "b"]
    hits = retrieve(index, fusion, queries, k, collections=wanted)
    assert hits.ids.shape == hits.scores.shape == (3, k)
    for row, query in enumerate(queries):
        scores = fusion.scores(query[None], rows[inside])[0] if inside else np.empty(0)
        order = sorted(range(len(inside)), key=lambda i: (-scores[i], ids[inside[i]]))[:k]
        found = hits.scores[row][hits.ids[row] >= 0]
        assert len(found) == len(order)
        assert np.allclose(found, scores[order], atol=1e-4)
        assert np.isneginf(hits.scores[row][len(order) :]).all()


def test_no_queries_give_no_hits():
    index = filled_index(unit_rows(4, 0), [1, 2, 3, 4], ["a"] * 4)
    hits = retrieve(index, Fusion(PARTS, unit_rows(30, 9)), unit_rows(0, 0), 5)
    assert hits.ids.shape == (0, 5)


def test_repeats_within_a_row_become_padding():
    found = unique_per_row(np.array([[3, 1, 3, -1], [2, 2, 2, 2]]))
    assert found.tolist() == [[-1, 1, 3, -1], [2, -1, -1, -1]]


def test_an_encoder_without_parts_is_refused():
    with pytest.raises(ValueError, match="at least one part"):
        Fusion((), np.zeros((0, 3), np.float32)).scores(unit_rows(1, 0), unit_rows(1, 0))


def test_several_parts_are_not_fused_without_reference_rows():
    with pytest.raises(ValueError, match="reference rows"):
        Fusion(PARTS, np.zeros((0, 10), np.float32))
