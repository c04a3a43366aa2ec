"""Localisation measured: boxes from maps, tubes from boxes, and average precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label, regionprops

Floats = NDArray[np.float64]
OVERLAPS = (0.3, 0.5, 0.7)
THRESHOLDS = np.linspace(0, 1, 25, endpoint=False)
"""At which maps, stretched to [0, 1], are cut."""


def box_of(mask: NDArray[np.bool_]) -> Floats:
    """Smallest box around a mask, `(4,)`: left, top, right, bottom, the last two exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union of boxes, `(..., 4)` with `(..., 4)`."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(each[..., 2:] - each[..., :2], axis=-1) for each in (first, second)]
    shares: Floats = common / np.maximum(areas[0] + areas[1] - common, 1e-12)
    return shares


def best_overlaps(heat: Floats, truth: Floats) -> Floats:
    r"""Of each threshold the best overlap of a region of a map with the true box, `(25,)`.

    Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020: the
    map is stretched to [0, 1] and cut at :math:`\tau`; every connected region has a box, and the
    one that fits best counts (the second version of their measure).

    Args:
        heat: `(h, w)`. A flat one has no region above 0.
        truth: `(4,)` box, in places of the map.
    """
    spread = heat.max() - heat.min()
    stretched = (heat - heat.min()) / (spread if spread > 0 else 1.0)
    found = []
    for threshold in THRESHOLDS:
        regions = regionprops(label(stretched >= threshold, connectivity=2))
        boxes = np.array([np.array(each.bbox)[[1, 0, 3, 2]] for each in regions], np.float64)
        found.append(iou(boxes.reshape(-1, 4), truth[None]).max(initial=0.0))
    return np.array(found)


def max_box_hits(overlaps: Floats) -> NDArray[np.bool_]:
    r"""`(n, 3)`: whether each picture is hit at .3, .5 and .7, at the best threshold for all.

    .. math:: \mathrm{MaxBoxAccV2}(\delta) = \max_\tau \frac1n \sum_i [o_i(\tau) \ge \delta]

    Column means are MaxBoxAccV2 at each overlap, and the mean over columns is MaxBoxAccV2.

    Args:
        overlaps: `(n, t)` of `best_overlaps`.
    """
    hits = overlaps[:, :, None] >= np.array(OVERLAPS)
    best = hits.mean(axis=0).argmax(axis=0)
    chosen: NDArray[np.bool_] = hits[:, best, np.arange(len(OVERLAPS))]
    return chosen


def tube_iou(first: Floats, second: Floats) -> float:
    """Overlap of two tubes, `(n, 5)` rows of frame and box: mean of `iou` over all their frames.

    A frame that only one of them has counts as no overlap, which is the overlap in time times that
    in space of the frames that both have (Kalogeiton et al., "Action Tubelet Detector for
    Spatio-Temporal Action Localization", ICCV 2017).
    """
    common, ours, theirs = np.intersect1d(first[:, 0], second[:, 0], return_indices=True)
    frames = len(first) + len(second) - len(common)
    return float(iou(first[ours, 1:], second[theirs, 1:]).sum() / frames)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A tube that a class is claimed of."""

    video: str
    label: int
    score: float
    tube: Floats


def matched(
    detections: Sequence[Detection],
    truths: Mapping[tuple[str, int], Sequence[Floats]],
    least: float,
) -> list[bool]:
    """Whether each detection, the best score first, finds a true tube that none before it found.

    A detection takes, of the true tubes of its video and class, the one it overlaps most; if that
    is less than `least`, or taken already, it is wrong.
    """
    hits = [False] * len(detections)
    taken: set[tuple[str, int, int]] = set()
    for place in sorted(range(len(detections)), key=lambda each: -detections[each].score):
        one = detections[place]
        overlaps = [tube_iou(one.tube, each) for each in truths.get((one.video, one.label), ())]
        if overlaps and max(overlaps) >= least:
            key = (one.video, one.label, int(np.argmax(overlaps)))
            hits[place] = key not in taken
            taken.add(key)
    return hits


def average_precision(scores: Floats, hits: Floats, times: Floats, positives: float) -> float:
    """Area under precision over recall, precision made falling (Everingham et al., VOC 2010).

    Args:
        scores: `(n,)` of detections.
        hits: `(n,)`, 1 where right.
        times: `(n,)` how often each counts.
        positives: true tubes, each as often as it counts.
    """
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum((hits * times)[order])
    precision = right / np.maximum(np.cumsum(times[order]), 1e-12)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.concatenate([[0.0], right / max(positives, 1e-12)])
    return float((np.diff(recall) * falling).sum())
