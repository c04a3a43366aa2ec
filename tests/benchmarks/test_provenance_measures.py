"""Boxes, tubes and their precision, against cases that are counted by hand."""

import numpy as np
import pytest
from measures import (
    THRESHOLDS,
    Detection,
    average_precision,
    best_overlaps,
    box_of,
    iou,
    matched,
    max_box_hits,
    tube_iou,
)


def test_overlap_of_boxes():
    first = np.array([[0, 0, 4, 4], [0, 0, 2, 2.0]])
    second = np.array([[2, 2, 6, 6], [2, 2, 3, 3.0]])
    assert iou(first, second).tolist() == [4 / 28, 0]
    mask = np.zeros((6, 8), bool)
    mask[2:4, 1:7] = True
    assert box_of(mask).tolist() == [1, 2, 7, 4]


def test_the_best_region_at_each_threshold_counts():
    heat = np.zeros((10, 10))
    heat[1:4, 1:4] = 1.0
    heat[6:9, 5:9] = 0.5
    truth = np.array([5, 6, 9, 9.0])
    found = best_overlaps(10 * heat - 3, truth)  # stretched, so units do not matter
    assert found[0] == 12 / 100  # everything
    low, high = np.searchsorted(THRESHOLDS, [0.25, 0.75])
    assert found[low] == 1  # two regions, the better one counts
    assert found[high] == 0
    assert best_overlaps(np.ones((4, 4)), np.array([0, 0, 4, 2.0])).tolist() == [0.5, *[0.0] * 24]


def test_one_threshold_serves_all_pictures_and_each_overlap_has_its_own():
    overlaps = np.zeros((3, 25))
    overlaps[:, 2] = [0.4, 0.4, 0.1]
    overlaps[:, 9] = [0.6, 0.1, 0.1]
    hits = max_box_hits(overlaps)
    assert hits.mean(axis=0).tolist() == pytest.approx([2 / 3, 1 / 3, 0])


def tube(frames, left):
    return np.array([[frame, left, 0, left + 2, 2] for frame in frames], float)


def test_tubes_overlap_in_time_and_in_space():
    assert tube_iou(tube(range(4), 0), tube(range(2, 6), 0)) == pytest.approx(2 / 6)
    assert tube_iou(tube(range(4), 0), tube(range(4), 1)) == pytest.approx(1 / 3)
    assert tube_iou(tube(range(2), 0), tube(range(3, 5), 0)) == 0


def test_a_true_tube_is_found_once_by_the_surest():
    truths = {("v", 0): [tube(range(4), 0)], ("w", 0): [tube(range(4), 0)]}
    claims = [
        Detection("v", 0, 0.5, tube(range(4), 0)),
        Detection("v", 0, 0.9, tube(range(3), 0)),
        Detection("v", 0, 0.8, tube(range(4), 5)),
        Detection("v", 1, 0.7, tube(range(4), 0)),
        Detection("w", 0, 0.1, tube(range(1), 0)),
    ]
    assert matched(claims, truths, 0.5) == [False, True, False, False, False]


def test_average_precision_is_the_area_under_falling_precision():
    scores, hits = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 0.0])
    ones = np.ones(4)
    assert average_precision(scores, hits, ones, 2) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(scores, hits, ones, 4) == pytest.approx((1 + 2 / 3) / 4)
    assert average_precision(-scores, hits, ones, 2) == pytest.approx(0.5)
    # what counts twice is as if it were there twice
    twice = average_precision(np.repeat(scores, 2), np.repeat(hits, 2), np.ones(8), 4)
    assert average_precision(scores, hits, 2 * ones, 4) == pytest.approx(twice)
