"""Fused retrieval equals scoring every row, also with several views, parts and filters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gumbel_r

from attribution.index import EmbeddedIndex
from attribution.retrieval.fusion import Fusion
from attribution.retrieval.retrieval import (
    pair_scores,
    part_scores_of,
    retrieve,
    scores_among,
    unique_per_row,
)
from models.parts import consecutive_parts
from tests.support.changes import change_batch
from tests.support.spaces import SmallSpace, rows_of

PARTS = consecutive_parts([("structure", 4), ("appearance", 6)])
WHOLE = consecutive_parts([("whole", 10)])
RULES = ("max-standardised", "harmonic-mean-p")


def unit_rows(n, seed, parts=PARTS):
    return rows_of(seed, n, parts)


def query_rows(n, seed, parts, views):
    return np.concatenate([unit_rows(n, seed + 50 * view, parts) for view in range(views)], axis=1)


def slow_standardised(query, row, reference, part):
    """A part's cosine in the query's own deviations."""
    against = [float(query[part.columns] @ other[part.columns]) for other in reference]
    cosine = float(query[part.columns] @ row[part.columns])
    return (cosine - np.mean(against)) / np.std(against, ddof=1)


def slow_gumbel(reference, part):
    """Location and scale whose median and 90 % quantile are those of the best scores."""
    best = [
        max(slow_standardised(q, r, reference, part) for j, r in enumerate(reference) if j != i)
        for i, q in enumerate(reference)
    ]
    median, high = np.quantile(best, [0.5, 0.9])
    unit = gumbel_r(0, 1)
    scale = (high - median) / (unit.ppf(0.9) - unit.ppf(0.5))
    return median - scale * unit.ppf(0.5), scale


def slow_score(query, row, reference, fitted, rule):
    """The rules in words; `fitted` are the constants of `slow_gumbel`, by part."""
    scores = [slow_standardised(query, row, reference, part) for part in fitted]
    if rule == "max-standardised":
        return max(scores)
    p_values = [np.exp(-(z - m) / b) for z, (m, b) in zip(scores, fitted.values(), strict=True)]
    return np.log(sum(1 / p for p in p_values))


class ProposingIndex(EmbeddedIndex):
    """One whose rows are not at hand, as those of another machine are."""

    def scanned(self, k, *, collections=None):
        return None


KINDS = (EmbeddedIndex, ProposingIndex)


def filled_index(rows, ids, collections, parts=PARTS, kind=EmbeddedIndex):
    index = kind(parts, parts[-1].stop, "model", "epoch")
    index.apply(
        change_batch(
            1, dimension=rows.shape[1], add_ids=ids, add_vectors=rows, add_collections=collections
        )
    )
    return index


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("views", [1, 2, 3])
def test_fused_scores_equal_the_rule_in_words(views, rule):
    queries, rows, reference = query_rows(3, 1, PARTS, views), unit_rows(5, 2), unit_rows(25, 3)
    fused = Fusion(PARTS, reference, views, rule).scores(queries, rows)
    fitted = {part: slow_gumbel(reference, part) for part in PARTS}
    slow = [
        [
            max(slow_score(q, r, reference, fitted, rule) for q in np.split(query, views))
            for r in rows
        ]
        for query in queries
    ]
    assert np.allclose(fused, slow, atol=1e-3)


def test_a_column_of_sources_alone_does_not_bend_the_scale_of_a_part():
    """Rows with a correction in their last column, as the hubness correction leaves them."""
    rows, reference, queries = unit_rows(5, 2), unit_rows(200, 3), unit_rows(3, 1)
    plain = Fusion(PARTS, reference, rule="harmonic-mean-p")
    corrected, as_queries, sources, asking = (
        with_columns(each, value)
        for each, value in ((reference, -3.0), (reference, 0.2), (rows, -3.0), (queries, 0.2))
    )
    wider = consecutive_parts([(part.name, part.stop - part.start + 1) for part in PARTS])
    fusion = Fusion(wider, corrected, rule="harmonic-mean-p", reference_queries=as_queries)
    # The same correction for every source shifts nothing, once scores are standardised.
    assert np.allclose(fusion.scores(asking, sources), plain.scores(queries, rows), atol=2e-2)


def with_columns(rows, value):
    """Each part with one constant column more."""
    added = np.full((len(rows), 1), value, np.float32)
    return np.concatenate(
        [each for part in PARTS for each in (rows[:, part.columns], added)], axis=1
    )


@pytest.mark.parametrize("views", [1, 2])
def test_own_rows_and_shared_rows_score_alike(views):
    queries, rows = query_rows(3, 1, PARTS, views), unit_rows(5, 2)
    fusion = Fusion(PARTS, unit_rows(40, 3), views)
    shared = fusion.scores(queries, rows)
    own = fusion.scores(queries, np.broadcast_to(rows, (3, *rows.shape)))
    assert np.allclose(shared, own, atol=1e-5)


def test_one_part_scores_by_cosine():
    parts = consecutive_parts([("whole", 5)])
    queries, rows = unit_rows(3, 1, parts), unit_rows(7, 2, parts)
    fusion = Fusion(parts, np.zeros((0, 5), np.float32))
    assert np.allclose(fusion.scores(queries, rows), queries @ rows.T)


def test_of_several_views_the_larger_cosine_counts():
    queries, rows = query_rows(3, 1, WHOLE, 2), unit_rows(7, 2, WHOLE)
    scores = Fusion(WHOLE, np.zeros((0, 10), np.float32), 2).scores(queries, rows)
    assert np.allclose(scores, np.maximum(queries[:, :10] @ rows.T, queries[:, 10:] @ rows.T))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 60),
    k=st.integers(1, 20),
    seed=st.integers(0, 1000),
    some=st.booleans(),
    parts=st.sampled_from([WHOLE, PARTS]),
    views=st.integers(1, 3),
    rule=st.sampled_from(RULES),
    kind=st.sampled_from(KINDS),
)
def test_retrieval_equals_scoring_everything(n, k, seed, some, parts, views, rule, kind):
    rows, queries = unit_rows(n, seed, parts), query_rows(3, seed + 1, parts, views)
    ids = np.arange(10, 10 + n)
    collections = ["a" if i % 3 else "b" for i in range(n)]
    fusion = Fusion(parts, unit_rows(30, 9, parts), views, rule)
    index = filled_index(rows, ids, collections, parts, kind)
    wanted = frozenset({"b"}) if some else None
    inside = [i for i in range(n) if not some or collections[i] == "b"]
    hits = retrieve(index, fusion.prepare(queries), k, collections=wanted)
    assert hits.ids.shape == hits.scores.shape == (3, k)
    for row, query in enumerate(queries):
        scores = fusion.scores(query[None], rows[inside])[0] if inside else np.empty(0)
        order = sorted(range(len(inside)), key=lambda i: (-scores[i], ids[inside[i]]))[:k]
        found = hits.scores[row][hits.ids[row] >= 0]
        assert len(found) == len(order)
        assert np.allclose(found, scores[order], atol=1e-4)
        assert np.isneginf(hits.scores[row][len(order) :]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_where_parts_add_up_a_row_good_in_both_is_found_though_best_in_none(kind):
    rng = np.random.default_rng(0)
    query = unit_rows(1, 5)
    rows = unit_rows(2000, 6)
    for place, part in enumerate(PARTS):  # two decoys, each perfect in one part
        rows[place, part.columns] = query[0, part.columns]
    near = query[0] + 0.1 * rng.normal(size=10).astype(np.float32)
    rows[2] = near
    for part in PARTS:
        rows[2, part.columns] /= np.linalg.norm(rows[2, part.columns])
    fusion = Fusion(PARTS, unit_rows(200, 9), rule="harmonic-mean-p")
    index = filled_index(rows, np.arange(2000), ["a"] * 2000, kind=kind)
    found = retrieve(index, fusion.prepare(query), 5)
    best = np.argsort(-fusion.scores(query, rows)[0])[:5]
    assert 2 in found.ids[0]
    assert found.ids[0].tolist() == best.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_more_queries_than_a_block_have_the_answers_of_single_ones(kind):
    rows, queries = unit_rows(40, 1), query_rows(300, 2, PARTS, 2)
    fusion = Fusion(PARTS, unit_rows(30, 9), 2)
    index = filled_index(rows, np.arange(40), ["a"] * 40, kind=kind)
    together = retrieve(index, fusion.prepare(queries), 3)
    for place in (0, 31, 32, 63, 64, 299):
        alone = retrieve(index, fusion.prepare(queries[place : place + 1]), 3)
        assert np.array_equal(together.ids[place], alone.ids[0])
        assert np.allclose(together.scores[place], alone.scores[0], atol=1e-4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("views", [1, 2])
def test_prepared_queries_have_bitwise_the_same_scores_in_whatever_company(rule, views):
    rows, queries = unit_rows(400, 1), query_rows(60, 2, PARTS, views)
    fusion = Fusion(PARTS, unit_rows(30, 9), views, rule)
    asked = fusion.prepare(queries)
    few = filled_index(rows[:150], np.arange(150), ["a"] * 150)
    all_rows = filled_index(rows, np.arange(400), ["a"] * 400)
    together = retrieve(all_rows, asked, 150)
    for places in (np.array([7]), np.arange(3, 40)):
        apart = retrieve(few, asked.take(places), 150)
        for place, ids, scores in zip(places, apart.ids, apart.scores, strict=True):
            known = dict(zip(together.ids[place].tolist(), together.scores[place], strict=True))
            shared = [(i, s) for i, s in zip(ids.tolist(), scores, strict=True) if i in known]
            assert len(shared) > 10
            assert all(known[i] == s for i, s in shared)


@pytest.mark.parametrize("rule", RULES)
def test_part_scores_of_one_view_make_the_score_bit_by_bit(rule):
    rows, queries = unit_rows(400, 1), query_rows(70, 2, PARTS, 1)
    index = filled_index(rows, np.arange(400), ["a"] * 400)
    asked = Fusion(PARTS, unit_rows(30, 9), 1, rule).prepare(queries)
    hits = retrieve(index, asked, 40)
    found = part_scores_of(index, asked, hits.ids)
    assert found.shape == (70, 40, len(PARTS))
    assert np.array_equal(asked.fusion.joined(found.transpose(2, 0, 1)[:, None]), hits.scores)
    for places in (np.array([7]), np.arange(3, 40)):
        apart = part_scores_of(index, asked.take(places), hits.ids[places][:, ::2])
        assert np.array_equal(apart, found[places][:, ::2])


def test_a_part_has_the_larger_score_of_its_views_and_what_is_gone_has_none():
    rows, queries, reference = unit_rows(50, 1), query_rows(9, 2, PARTS, 2), unit_rows(30, 9)
    fusion = Fusion(PARTS, reference, 2)
    index = filled_index(rows, np.arange(50), ["a"] * 50)
    ids = np.tile(np.array([7, 49, -1, 1000]), (9, 1))
    found = part_scores_of(index, fusion.prepare(queries), ids)
    assert np.isneginf(found[:, 2:]).all()
    _, whole = fusion.prepare(queries).scores_by_part(rows)
    for place, part in enumerate(PARTS):
        views = []
        for view in fusion.views_of(queries):
            beside = view[:, part.columns] @ reference[:, part.columns].T
            level, unit = beside.mean(axis=1), beside.std(axis=1, ddof=1)
            cosines = view[:, part.columns] @ rows[:, part.columns].T
            views.append((cosines - level[:, None]) / unit[:, None])
        slow = np.maximum(*views)
        assert np.allclose(found[:, :2, place], slow[:, [7, 49]], atol=1e-4)
        assert np.allclose(whole[:, place], slow, atol=1e-4)
    nothing = filled_index(rows[:0], [], [])
    assert np.isneginf(part_scores_of(nothing, fusion.prepare(queries), ids)).all()


@pytest.mark.parametrize("rule", RULES)
def test_candidates_score_among_each_other_as_queries_would(rule):
    rows, fusion = unit_rows(12, 3), Fusion(PARTS, unit_rows(40, 5), rule=rule)
    index = filled_index(rows, np.arange(1, 13), ["all"] * 12)
    ids = np.array([[5, 1, 9, -1], [2, 99, 12, 7]])  # 99 is not held
    space = SmallSpace(parts=PARTS, dimension=10, reference=fusion.reference)
    found = scores_among(index, space, ids, 3, fusion)
    assert found.scores.shape == (2, 3, 4, 2)
    for query, own in enumerate(ids):
        for i in range(3):
            for j, other in enumerate(own):
                scores, apart = found.scores[query, i, j], found.apart[query, i, j]
                if -1 in (own[i], other) or 99 in (own[i], other):
                    assert np.isneginf(scores).all()
                    assert np.isinf(apart).all()
                    continue
                a, b = rows[own[i] - 1], rows[other - 1]
                assert scores == pytest.approx(
                    fusion.prepare(a[None]).scores_by_part(b[None])[1][0, :, 0], abs=1e-4
                )
                assert apart == pytest.approx(
                    [((a - b)[part.columns] ** 2).sum() for part in PARTS], abs=1e-5
                )


def test_pairs_score_as_the_whole_does_within_the_slack():
    rows, queries = unit_rows(50, 1), query_rows(20, 2, PARTS, 2)
    asked = Fusion(PARTS, unit_rows(30, 9), 2, "harmonic-mean-p").prepare(queries)
    whole = asked.scores(rows)
    for place in range(20):
        pairs = pair_scores(asked, np.full(50, place), rows, np.arange(50))
        assert np.abs(pairs - whole[place]).max() <= asked.slack[place]


def test_no_row_scores_above_the_bound_of_its_cosines():
    rows, queries = unit_rows(50, 1), query_rows(20, 2, PARTS, 2)
    fusion = Fusion(PARTS, unit_rows(30, 9), 2, "harmonic-mean-p")
    asked = fusion.prepare(queries)
    largest = [
        [(view[:, part.columns] @ rows[:, part.columns].T).max(axis=1) for part in PARTS]
        for view in fusion.views_of(queries)
    ]
    assert (asked.scores(rows).max(axis=1) <= asked.bound(largest) + asked.slack).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("views", [1, 2])
def test_no_queries_give_no_hits(views, kind):
    index = filled_index(unit_rows(4, 0), [1, 2, 3, 4], ["a"] * 4, kind=kind)
    fusion = Fusion(PARTS, unit_rows(30, 9), views)
    hits = retrieve(index, fusion.prepare(query_rows(0, 0, PARTS, views)), 5)
    assert hits.ids.shape == (0, 5)


@pytest.mark.parametrize("columns", [10, 19, 30])
def test_queries_without_all_their_views_are_refused(columns):
    fusion = Fusion(PARTS, unit_rows(30, 9), 2)
    with pytest.raises(ValueError, match=r"must be \(n, 20\), 2 x 10 columns"):
        fusion.scores(np.zeros((3, columns), np.float32), unit_rows(4, 0))


def test_repeats_within_a_row_become_padding():
    found = unique_per_row(np.array([[3, 1, 3, -1], [2, 2, 2, 2]]))
    assert found.tolist() == [[-1, 1, 3, -1], [2, -1, -1, -1]]


def test_an_encoder_without_parts_is_refused():
    with pytest.raises(ValueError, match="at least one part"):
        Fusion((), np.zeros((0, 3), np.float32)).scores(unit_rows(1, 0), unit_rows(1, 0))


def test_several_parts_need_a_rule():
    with pytest.raises(ValueError, match="need a rule"):
        Fusion(PARTS, unit_rows(30, 9), rule="single")


def test_several_parts_are_not_fused_without_reference_rows():
    with pytest.raises(ValueError, match="reference rows"):
        Fusion(PARTS, np.zeros((0, 10), np.float32))
