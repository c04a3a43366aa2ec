"""Where the subject of a picture is, found by what its border looks like. No weights, no words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.synthesis.context.colours import Floats
from attribution.synthesis.otsu import otsu

# Added to the border's covariance, in squared CIELAB units: a border of one colour has none.
_NOISE = 9.0
_BINS = 128  # of the threshold: a small picture has few pixels


@dataclass(frozen=True, slots=True)
class Placement:
    """Position, size and orientation of a mask.

    Attributes:
        across: centre of mass, 0 at the left edge, 1 at the right.
        down: the same, 0 at the top.
        share: of the picture.
        elongation: square root of the ratio of the principal second moments, 1 for a disc.
        angle: of the long axis, in degrees from 0 (lying) over 90 (upright) to below 180,
            counter-clockwise as seen.
    """

    across: float
    down: float
    share: float
    elongation: float
    angle: float


def subject_mask(colours: Floats) -> NDArray[np.bool_]:
    """Pixels whose colour is foreign to the border of the picture.

    The squared Mahalanobis distance from the colours of the border, parted by Otsu's threshold of
    its logarithm. Where all is foreign or nothing is, the middle ninth is taken.

    Args:
        colours: `(h, w, 3)` CIELAB.

    Returns:
        `(h, w)`, true where the subject is.
    """
    height, width = colours.shape[:2]
    edge = np.ones((height, width), dtype=bool)
    margin = max(1, min(height, width) // 16)
    edge[margin:-margin, margin:-margin] = False
    border = colours[edge]
    covariance = np.cov(border.T, bias=True) + _NOISE * np.eye(3)
    off = colours - border.mean(axis=0)
    distance = np.einsum("hwi,ij,hwj->hw", off, np.linalg.inv(covariance), off)
    foreign = np.log1p(distance)
    mask: NDArray[np.bool_] = foreign > otsu(foreign, _BINS)
    if not 0.005 < mask.mean() < 0.95:
        mask = np.zeros((height, width), dtype=bool)
        mask[height // 3 : -(height // 3) or None, width // 3 : -(width // 3) or None] = True
    return mask


def placement(mask: NDArray[np.bool_]) -> Placement:
    """Where the true pixels of a `(h, w)` mask lie, by its moments of first and second order."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    x, y = columns + 0.5, rows + 0.5
    # Rows grow downwards and angles upwards, hence the sign. A pixel itself has 1/12 of variance.
    moments = np.cov(np.stack([x, -y]), bias=True) + np.eye(2) / 12
    values, vectors = np.linalg.eigh(moments)
    along = vectors[:, 1]
    return Placement(
        across=float(x.mean() / width),
        down=float(y.mean() / height),
        share=float(mask.mean()),
        elongation=float(np.sqrt(values[1] / values[0])),
        angle=float(np.degrees(np.arctan2(along[1], along[0])) % 180),
    )
