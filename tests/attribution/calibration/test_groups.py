"""Candidates that are one picture are found by their rows, as a slow rule finds them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.calibration.groups import SAME, first_members, groups_of, pictures_of
from attribution.index import EmbeddedIndex
from tests.support.changes import change_batch
from tests.support.spaces import SPACE_PARTS, rows_of


def slow_first_members(same):
    groups = []
    for place in range(len(same)):
        leaders = [other for other in range(place) if groups[other] == other and same[other][place]]
        groups.append(leaders[0] if leaders else place)
    return groups


@pytest.mark.parametrize("wanted", [1, 3, 7, 40])
def test_pictures_are_those_of_one_look_at_all_candidates(wanted):
    rng = np.random.default_rng(4)
    shown = rng.integers(0, 9, 40)
    rows = rows_of(3, 9)[shown] + 0.01 * rng.normal(size=(40, 24)).astype(np.float32)
    index = holding(rows)
    ids = np.array([rng.permutation(40), np.append(rng.permutation(40)[:30], [-1] * 10)])
    for own, found in zip(ids, pictures_of(index, ids, wanted), strict=True):
        firsts = []
        for place, vector_id in enumerate(own[own >= 0]):
            alike = [first for first in firsts if shown[own[first[0]]] == shown[vector_id]]
            alike[0].append(place) if alike else firsts.append([place])
        assert found.firsts == [first[0] for first in firsts][:wanted]
        # of copies, those in the stretches that were looked at
        for all_of_it, copies in zip(firsts, found.copies, strict=False):
            assert copies == all_of_it[1 : len(copies) + 1]
        if wanted > len(firsts):
            assert [[a, *b] for a, b in zip(found.firsts, found.copies, strict=True)] == firsts


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_a_candidate_joins_the_first_that_leads_and_is_like_it(k, seed, share):
    drawn = np.random.default_rng(seed).random((3, k, k)) < share
    same = drawn | drawn.transpose(0, 2, 1) | np.eye(k, dtype=bool)
    assert first_members(same).tolist() == [slow_first_members(each) for each in same]


def turned(rows, cosine, part, seed):
    """The rows with the given cosine to themselves in one part, and unchanged in the other."""
    other, away = rows.copy(), rows_of(seed, len(rows))
    for row, drawn in zip(other, away, strict=True):
        own = row[part.columns].copy()
        across = drawn[part.columns] - (drawn[part.columns] @ own) * own
        across /= np.linalg.norm(across)
        row[part.columns] = cosine * own + (1 - cosine**2) ** 0.5 * across
    return other


@pytest.mark.parametrize(("cosine", "one"), [(SAME + 0.01, True), (SAME - 0.01, False)])
@pytest.mark.parametrize("part", SPACE_PARTS, ids=lambda part: part.name)
def test_rows_are_one_picture_only_if_near_in_every_part(part, cosine, one):
    rows = rows_of(1, 4)
    index = holding(np.concatenate([rows, turned(rows, cosine, part, 2)]))
    ids = np.stack([np.arange(4), np.arange(4, 8)], axis=1)
    for order in (ids, ids[:, ::-1]):
        assert groups_of(index, order).tolist() == [[0, 0 if one else 1]] * 4


@pytest.mark.parametrize("n", [30, 3000])
def test_groups_are_those_of_every_two_rows_compared(n):
    rows = rows_of(3, n)
    for place, part in enumerate(SPACE_PARTS):
        some = slice(10 * place, 10 * place + 10)
        rows[some] = turned(rows[10:20], 0.97, part, 4)
    rows[20:30] = turned(turned(rows[10:20], 0.93, SPACE_PARTS[0], 6), 0.93, SPACE_PARTS[1], 7)
    ids = np.stack([np.random.default_rng(seed).permutation(30) for seed in range(70)])
    near = np.ones((30, 30), bool)
    for part in SPACE_PARTS:
        own = rows[:30, part.columns].astype(np.float64)
        near &= ((own[:, None] - own[None]) ** 2).sum(axis=2) <= 2 * (1 - SAME)
    expected = [slow_first_members(near[np.ix_(each, each)]) for each in ids]
    assert groups_of(holding(rows), ids).tolist() == expected


def holding(rows):
    index = EmbeddedIndex(SPACE_PARTS, 24, "small", "epoch")
    index.apply(
        change_batch(
            1,
            dimension=24,
            add_ids=np.arange(len(rows)),
            add_vectors=rows,
            add_collections=["a"] * len(rows),
        )
    )
    return index


def test_doubles_among_hits_form_groups_and_what_is_gone_stays_alone():
    rows = rows_of(1, 100)
    rows[40:45] = rows[7]
    rows[60] = turned(rows[20:21], 0.97, SPACE_PARTS[0], 5)[0]
    index = holding(rows)
    ids = np.array([[7, 20, 41, 60, 44, 500, -1, -1], [3, 60, 20, 9, 8, 7, 500, -1]])
    assert groups_of(index, ids).tolist() == [[0, 1, 0, 1, 0, 5, 6, 7], [0, 1, 1, 3, 4, 5, 6, 7]]
    assert groups_of(index, np.full((2, 3), -1)).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert groups_of(index, np.empty((0, 3), np.int64)).shape == (0, 3)


def test_many_queries_are_grouped_as_single_ones():
    rows = rows_of(1, 50)
    rows[30:40] = rows[:10]
    index = holding(rows)
    rng = np.random.default_rng(0)
    ids = np.stack([rng.permutation(50)[:20] for _ in range(150)])
    together = groups_of(index, ids)
    for row in (0, 63, 64, 149):
        assert np.array_equal(groups_of(index, ids[row : row + 1])[0], together[row])
    assert (together != np.arange(20)).any()
