import numpy as np
import pytest

from attribution.index.scan import BLOCK, Candidates, exact_scores, rank, scan


def best(queries, rows, mask, k):
    """The ids that the slow way ranks first, by float64 products and a full sort."""
    scores = queries.astype(np.float64) @ rows.astype(np.float64).T
    allowed = np.flatnonzero(mask)
    order = [np.lexsort((allowed, -row[allowed]))[:k] for row in scores]
    return [allowed[chosen].tolist() for chosen in order]


def scanned(queries, rows, mask, k):
    found = scan(queries, rows, mask, k)
    hits = rank(len(queries), k, found.query, found.position, exact_scores(queries, rows, found))
    return [[hit for hit in row if hit >= 0] for row in hits.ids.tolist()]


@pytest.mark.parametrize("n", [0, 1, 7, BLOCK, BLOCK + 1, 2 * BLOCK + 5])
@pytest.mark.parametrize("k", [1, 10])
@pytest.mark.parametrize("share", [0.0, 0.01, 1.0])
def test_a_scan_finds_what_a_full_sort_finds(n, k, share, unit_rows):
    rows, queries = unit_rows(n, seed=1), unit_rows(5, seed=2)
    mask = np.random.default_rng(3).random(n) < share
    assert scanned(queries, rows, mask, k) == best(queries, rows, mask, k)


def test_rows_without_a_mask_all_count(unit_rows):
    rows, queries = unit_rows(50), unit_rows(3, seed=4)
    assert scanned(queries, rows, None, 4) == best(queries, rows, np.ones(50, bool), 4)


def test_a_tie_at_the_last_place_goes_to_the_lower_id_across_blocks(unit_rows):
    rows = np.repeat(unit_rows(1), 2 * BLOCK + 3, axis=0)
    assert scanned(rows[:1], rows, None, 3) == [[0, 1, 2]]


def test_a_row_has_one_score_wherever_it_lies(unit_rows):
    rows, queries = unit_rows(999, seed=5), unit_rows(31, seed=6)
    pairs = np.indices((31, 999)).reshape(2, -1)
    together = exact_scores(queries, rows, Candidates(*pairs)).reshape(31, 999)
    for query in (0, 17, 30):
        for row in (0, 500, 998):
            alone = exact_scores(
                queries[query : query + 1],
                rows[row : row + 1].copy(),
                Candidates(np.array([0]), np.array([0])),
            )
            assert alone[0] == together[query, row]


def test_slices_of_a_row_score_like_copies_of_them(unit_rows):
    rows = unit_rows(20)
    pairs = Candidates(np.zeros(20, np.int64), np.arange(20))
    cut, copied = rows[:, 6:16], rows[:, 6:16].copy()
    np.testing.assert_array_equal(
        exact_scores(cut, cut, pairs), exact_scores(copied, copied, pairs)
    )


def test_ranking_pads_what_is_short():
    hits = rank(
        3,
        2,
        np.array([2, 0, 0, 0]),
        np.array([9, 5, 4, 6]),
        np.array([0.5, 0.25, 0.25, 0.125], np.float32),
    )
    assert hits.ids.tolist() == [[4, 5], [-1, -1], [9, -1]]
    assert hits.scores.tolist() == [[0.25, 0.25], [-np.inf, -np.inf], [0.5, -np.inf]]
    assert (hits.ids.dtype, hits.scores.dtype) == (np.int64, np.float32)
