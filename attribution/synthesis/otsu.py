"""The threshold that parts values into two classes; knows no picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 256


def otsu(values: npt.NDArray[np.floating[Any]], bins: int = BINS) -> float:
    r"""The threshold that divides values into two classes as unlike as can be.

    It maximises the variance between the classes, :math:`w_0 w_1 (\mu_0 - \mu_1)^2`, over a
    histogram (Otsu, "A Threshold Selection Method from Gray-Level Histograms", 1979). Values above
    it are the upper class; equal values are their own threshold.

    Args:
        values: of any shape, finite.
        bins: of the histogram.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low
    counts, edges = np.histogram(values.astype(np.float64), bins, (low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()[:-1].astype(np.float64)
    above = counts.sum() - below
    sums = (counts * centres).cumsum()
    mean_below = sums[:-1] / np.maximum(below, 1)
    mean_above = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1:-1][(below * above * (mean_below - mean_above) ** 2).argmax()])
