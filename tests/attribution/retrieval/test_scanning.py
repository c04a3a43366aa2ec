"""Comparing all rows at once gives, bit by bit, what comparing them pair by pair gives."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.index import Contents, EmbeddedIndex, Sizing
from attribution.retrieval import scanning
from attribution.retrieval.fusion import Fusion
from attribution.retrieval.retrieval import retrieve
from attribution.retrieval.scanning import best_of
from models.parts import consecutive_parts
from tests.support.changes import change_batch
from tests.support.spaces import rows_of

WHOLE = consecutive_parts([("whole", 12)])
PARTS = consecutive_parts([("structure", 7), ("outline", 5), ("appearance", 4)])
RULES = ("max-standardised", "harmonic-mean-p")


class Proposing(EmbeddedIndex):
    def scanned(self, k, *, collections=None):
        return None


def disturbed(kind, n, seed, parts):
    """A base and a tail with equal rows, dead rows, replaced ones and two collections."""
    rng = np.random.default_rng(seed)
    rows = rows_of(seed, n + 40, parts)
    rows[rng.integers(0, n + 40, 30)] = rows[rng.integers(0, n + 40)]  # ties, also across the two
    names = tuple("ab"[int(drawn < 0.3)] for drawn in rng.random(n + 40))
    index = kind.from_rows(
        parts,
        parts[-1].stop,
        "model",
        "epoch",
        Contents(np.arange(1, n + 1), rows[:n], names[:n]),
        generation=1,
    )
    added = [*rng.choice(np.arange(1, n + 1), 5, replace=False).tolist(), *range(n + 1, n + 36)]
    index.apply(
        change_batch(
            2,
            dimension=parts[-1].stop,
            add_ids=added,
            add_vectors=rows[n:],
            add_collections=names[n:],
            remove_ids=rng.choice(n + 35, n // 4, replace=False) + 1,
        )
    )
    return index


def asked_of(index, fusion, seed, n):
    """Queries of their own, and some that are rows held, so that their best are ties."""
    parts = fusion.parts
    views = [rows_of(seed + 70 * view, n, parts) for view in range(fusion.views)]
    held = index.contents().vectors
    views[-1][: n // 2] = held[np.random.default_rng(seed).integers(0, len(held), n // 2)]
    return fusion.prepare(np.concatenate(views, axis=1))


def pair_by_pair(index, asked, k, collections):
    """Every live row by its own exact score, sorted: the rule without any product of matrices."""
    held = index.contents()
    inside = [
        place
        for place, name in enumerate(held.collections)
        if collections is None or name in collections
    ]
    rows = [held.vectors[:, part.columns] for part in asked.fusion.parts]
    ids = np.full((len(asked), k), -1)
    scores = np.full((len(asked), k), -np.inf, np.float32)
    for query in range(len(asked)):
        each = np.array(
            [asked.pair_scores(np.array([query]), rows, np.array([place]))[0] for place in inside],
            np.float32,
        )
        order = np.lexsort((held.ids[inside], -each))[:k]
        ids[query, : len(order)], scores[query, : len(order)] = held.ids[inside][order], each[order]
    return ids, scores


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks that a test fills several of."""
    monkeypatch.setattr(scanning, "_PRODUCTS", 1)
    monkeypatch.setattr(scanning, "_FEWEST_ROWS", 50)
    monkeypatch.setattr(scanning, "_QUERIES", 6)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(10, 160),
    k=st.sampled_from([1, 7, 60]),
    seed=st.integers(0, 1000),
    collections=st.sampled_from([None, frozenset("a"), frozenset("b"), frozenset("z")]),
    parts=st.sampled_from([WHOLE, PARTS, PARTS[:2]]),
    views=st.integers(1, 3),
    rule=st.sampled_from(RULES),
)
def test_all_rows_at_once_are_ranked_as_pair_by_pair(n, k, seed, collections, parts, views, rule):
    index = disturbed(EmbeddedIndex, n, seed, parts)
    fusion = Fusion(parts, rows_of(seed + 5, 40, parts), views, rule)
    asked = asked_of(index, fusion, seed + 9, 8)
    hits = retrieve(index, asked, k, collections=collections)
    ids, scores = pair_by_pair(index, asked, k, collections)
    np.testing.assert_array_equal(hits.scores, scores)
    np.testing.assert_array_equal(hits.ids, ids)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("parts", [WHOLE, PARTS], ids=["one", "three"])
@pytest.mark.parametrize("collections", [None, frozenset("b")])
def test_rows_at_hand_and_rows_proposed_rank_alike(rule, parts, collections):
    scanned, proposed = (disturbed(kind, 300, 3, parts) for kind in (EmbeddedIndex, Proposing))
    fusion = Fusion(parts, rows_of(4, 60, parts), 2, rule)
    asked = asked_of(scanned, fusion, 5, 20)
    one, other = (
        retrieve(each, asked, 30, collections=collections) for each in (scanned, proposed)
    )
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("parts", [WHOLE, PARTS], ids=["one", "three"])
def test_of_what_codes_propose_the_best_are_found_with_the_scores_they_have(rule, parts):
    """Everybody is proposed here, so that nothing but the way there differs."""
    index = disturbed(EmbeddedIndex, 300, 3, parts)
    index.sizing = Sizing(flat_below=20, fewest=299, recall=0.0)
    index.compact()
    index.apply(change_batch(3, dimension=parts[-1].stop, remove_ids=index.contents().ids[::9]))
    assert index.scanned(30)[0].proposer is None  # as many would be proposed as there are
    fusion = Fusion(parts, rows_of(4, 60, parts), 2, rule)
    asked = asked_of(index, fusion, 5, 20)
    base, tail = index.scanned(30)
    ids, scores = pair_by_pair(index, asked, 30, None)
    coded = replace(base, proposer=index.view.structure, proposed=len(base.ids))
    hits = best_of(asked, (coded, tail), 30)
    np.testing.assert_array_equal(hits.scores, scores)
    np.testing.assert_array_equal(hits.ids, ids)

    few = best_of(asked, (replace(coded, proposed=60), tail), 30)
    for query in range(len(asked)):
        exact = dict(zip(ids[query].tolist(), scores[query].tolist(), strict=True))
        for hit, score in zip(few.ids[query].tolist(), few.scores[query].tolist(), strict=True):
            assert exact.get(hit, score) == score
    assert (few.ids[:, 0] == ids[:, 0]).mean() > 0.8
    alone = best_of(asked.take(slice(3, 4)), (replace(coded, proposed=60), tail), 30)
    np.testing.assert_array_equal(alone.ids[0], few.ids[3])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("queries", "held"), [(9, 300), (300, 9), (300, 1)])
def test_pairs_of_one_query_or_row_score_as_pairs_of_many_at_the_widths_that_serve(
    rule, queries, held
):
    parts = consecutive_parts([("structure", 513), ("outline", 385)])
    rows = [rows_of(1, held, parts)[:, part.columns] for part in parts]
    asked = Fusion(parts, rows_of(2, 60, parts), 2, rule).prepare(
        np.concatenate([rows_of(3, queries, parts), rows_of(4, queries, parts)], axis=1)
    )
    query, row = np.repeat(np.arange(queries), held), np.tile(np.arange(held), queries)
    together = asked.pair_scores(query, rows, row)
    shuffled = np.random.default_rng(0).permutation(len(query))
    apart = asked.pair_scores(query[shuffled], rows, row[shuffled])
    np.testing.assert_array_equal(together[shuffled], apart)
    for pair in shuffled[:40]:
        alone = asked.pair_scores(query[[pair]], rows, row[[pair]])
        assert alone[0] == together[pair]


def test_what_cannot_be_asked_is_refused():
    asked = Fusion(WHOLE, np.empty((0, 12), np.float32)).prepare(rows_of(1, 2, WHOLE))
    with pytest.raises(ValueError, match="at least one hit"):
        best_of(asked, (), 0)
    asked.rows[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        best_of(asked, (), 1)
