"""What the sources above explain, against a slow formula and in the cases it is made for."""

import numpy as np
import pytest

from attribution.calibration.explained import explained_scores
from attribution.retrieval.fusion import Fusion
from attribution.retrieval.retrieval import Among
from models.parts import consecutive_parts
from tests.support.spaces import rows_of

PARTS = consecutive_parts([("structure", 24), ("appearance", 24)])
REFERENCE = rows_of(99, 200, PARTS)
RULES = ("max-standardised", "harmonic-mean-p")


def compared(query, rows, e, rule):
    """The arguments of `explained_scores` for one query and its candidates, e of which explain."""
    fusion = Fusion(PARTS, REFERENCE, rule=rule)
    by_part = fusion.prepare(query[None]).scores_by_part(rows)[1]
    among = fusion.prepare(rows[:e]).scores_by_part(rows)[1].swapaxes(1, 2)
    apart = np.stack(
        [
            ((rows[:e, None, part.columns] - rows[None, :, part.columns]) ** 2).sum(axis=2)
            for part in PARTS
        ],
        axis=2,
    )
    return by_part.swapaxes(1, 2), Among(among[None], apart[None]), fusion.offsets


def slow(query, rows, e, rule):
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
        for i in range(min(e, j)):
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
    rows[2] = rows[0] + 0.3 * rows[2]  # one picture twice
    query = rows[0] + 0.6 * rows[3] + 0.2 * rows_of(5, 1, PARTS)[0]
    found = explained_scores(*compared(query, rows, 4, rule))[0]
    assert found == pytest.approx(slow(query, rows, 4, rule), rel=1e-3, abs=1e-3)
    assert np.isneginf(found[0]).all()


@pytest.mark.parametrize("rule", RULES)
def test_of_a_query_that_is_the_source_everything_is_explained(rule):
    rows = rows_of(3, 6, PARTS)
    rows[2] += 0.5 * rows[0]
    scores, *others = compared(rows[0], rows, 1, rule)
    assert explained_scores(scores, *others)[0, 1:] == pytest.approx(scores[0, 1:], abs=1e-4)


def test_of_a_query_of_two_sources_the_other_is_not():
    rows = rows_of(3, 6, PARTS)
    scores, *others = compared(rows[0] + rows[1], rows, 1, "max-standardised")
    missing = scores - explained_scores(scores, *others)
    assert (missing[0, 1] > 2).all()


def test_a_source_that_is_gone_explains_nothing_and_is_not_explained():
    rows = rows_of(3, 5, PARTS)
    scores, among, offsets = compared(rows[0], rows, 3, "max-standardised")
    among.scores[0, [0, 1]] = -np.inf
    among.scores[0, :, 4] = -np.inf
    found = explained_scores(scores, among, offsets)[0]
    assert np.isneginf(found[[0, 1, 2, 4]]).all()
    assert np.isfinite(found[3]).all()


def test_nothing_held_explains_nothing():
    among = Among(np.zeros((2, 0, 0, 2), np.float32), np.zeros((2, 0, 0, 2), np.float32))
    empty = np.zeros((2, 0, len(PARTS)), np.float32)
    assert explained_scores(empty, among, np.zeros(2, np.float32)).shape == empty.shape
