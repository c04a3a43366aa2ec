"""What the sources above explain, against a slow formula and in the cases it is made for."""

import numpy as np
import pytest

from attribution.calibration.explained import ABOVE, explained_scores, first_pictures
from attribution.retrieval.fusion import Fusion
from attribution.retrieval.retrieval import Among
from models.parts import consecutive_parts
from tests.support.spaces import rows_of

PARTS = consecutive_parts([("structure", 24), ("appearance", 24)])
REFERENCE = rows_of(99, 200, PARTS)
RULES = ("max-standardised", "harmonic-mean-p")


def compared(query, rows, first, rule):
    """The arguments of `explained_scores` for one query and its candidates."""
    fusion = Fusion(PARTS, REFERENCE, rule=rule)
    by_part = fusion.prepare(query[None]).scores_by_part(rows)[1]
    asking = np.maximum(first, 0)
    among = fusion.prepare(rows[asking]).scores_by_part(rows)[1].swapaxes(1, 2)
    apart = np.stack(
        [
            ((rows[asking, None, part.columns] - rows[None, :, part.columns]) ** 2).sum(axis=2)
            for part in PARTS
        ],
        axis=2,
    )
    return by_part.swapaxes(1, 2), first[None], Among(among[None], apart[None]), fusion.offsets


def slow(query, rows, first, rule):
    """By the cosines themselves: their share that the query keeps, times what the source has."""
    fusion = Fusion(PARTS, REFERENCE, rule=rule)

    def above_expected(a, b, columns):
        return a[columns] @ b[columns] - np.mean([a[columns] @ r[columns] for r in REFERENCE])

    def deviation(a, columns):
        return np.std([a[columns] @ r[columns] for r in REFERENCE], ddof=1)

    def unit_of(place):
        moments = fusion._moments[place] if rule == "harmonic-mean-p" else None
        return (moments.location, moments.scale) if moments else (0.0, 1.0)

    found = np.full((len(rows), len(PARTS)), -np.inf)
    for j, row in enumerate(rows):
        for i in first:
            if not 0 <= i < j:
                continue
            cosines = [rows[i, part.columns] @ row[part.columns] for part in PARTS]
            if min(cosines) >= 0.5:
                continue
            for place, part in enumerate(PARTS):
                at = part.columns
                location, scale = unit_of(place)
                query_i = above_expected(query, rows[i], at) / deviation(query, at)
                own = above_expected(rows[i], rows[i], at) / deviation(rows[i], at)
                other = above_expected(rows[i], row, at) / deviation(rows[i], at)
                kept = np.clip(query_i / own, 0, 1)
                found[j, place] = max(found[j, place], (kept * other - location) / scale)
    return found


@pytest.mark.parametrize("rule", RULES)
def test_it_equals_the_rule_in_words(rule):
    rows = rows_of(3, 7, PARTS)
    rows[4] = rows[0] + 0.3 * rows[4]  # one picture twice
    query = rows[0] + 0.6 * rows[3] + 0.2 * rows_of(5, 1, PARTS)[0]
    first = np.array([0, 1, 3, -1])
    found = explained_scores(*compared(query, rows, first, rule))[0]
    assert found == pytest.approx(slow(query, rows, first, rule), rel=1e-3, abs=1e-3)
    assert np.isneginf(found[0]).all()


@pytest.mark.parametrize("rule", RULES)
def test_of_a_query_that_is_the_source_everything_is_explained(rule):
    rows = rows_of(3, 6, PARTS)
    rows[2] += 0.5 * rows[0]
    scores, *others = compared(rows[0], rows, np.array([0]), rule)
    assert explained_scores(scores, *others)[0, 1:] == pytest.approx(scores[0, 1:], abs=1e-4)


def test_of_a_query_of_two_sources_the_other_is_not():
    rows = rows_of(3, 6, PARTS)
    scores, *others = compared(rows[0] + rows[1], rows, np.array([0]), "max-standardised")
    missing = scores - explained_scores(scores, *others)
    assert (missing[0, 1] > 2).all()


def test_a_source_that_is_gone_explains_nothing_and_is_not_explained():
    rows = rows_of(3, 5, PARTS)
    scores, first, among, offsets = compared(rows[0], rows, np.array([0, 2]), "max-standardised")
    among.scores[0, 0] = -np.inf
    among.scores[0, :, 4] = -np.inf
    found = explained_scores(scores, first, among, offsets)[0]
    assert np.isneginf(found[[0, 1, 2, 4]]).all()
    assert np.isfinite(found[3]).all()


def test_one_rank_a_picture_explains():
    groups = np.array([[0, 0, 2, 3, 2, 5, 6, 7, 8], [0, 1, 2, 3, 4, 5, 6, 7, 8]], np.uint8)
    held = np.ones(groups.shape, bool)
    held[1, 2:] = False
    found = first_pictures(groups, held)
    assert found.tolist() == [[0, 2, 3, 5, 6], [0, 1, -1, -1, -1]]
    assert found.shape == (2, ABOVE)


def test_nothing_held_explains_nothing():
    none = first_pictures(np.zeros((2, 0), np.uint8), np.zeros((2, 0), bool))
    shape = (2, none.shape[1], 0, len(PARTS))
    among = Among(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    empty = np.zeros((2, 0, len(PARTS)), np.float32)
    assert explained_scores(empty, none, among, np.zeros(2, np.float32)).shape == empty.shape
