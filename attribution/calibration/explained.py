"""How far the sources ranked above let one expect that a query resembles a source.

Beside the source that a query comes from stands what resembles that source. It is no second source,
and no image without source shows how high it comes, for its height is the gallery's. Knows scores,
no rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attribution.calibration.statistic import Scores
from attribution.retrieval.retrieval import Among

ABOVE = 5  # pictures of the first ranks explain what is ranked below them
SAME_PICTURE = 0.5
"""Cosine, in every part, from which two sources are taken to show one picture, cropped or
recoloured: neither is an accident of the other."""


def explained_scores(parts: Scores, among: Among, offsets: NDArray[np.float32]) -> Scores:
    r"""The scores that sources ranked above let one expect of a query.

    .. math:: x'_{pj} = \max_{i < j} \frac{x_p(q, i)}{x_p(i, i)} \, x_p(i, j)

    with :math:`x_p` a part's score counted from a cosine as expected of unrelated images. If the
    query comes from i and from nothing else, its row is that of i shrunk, by the share of it that
    the query has kept, and something that has nothing to do with j; so what it has in common with j
    is what i has, shrunk alike. A query that is i itself has all of it.

    Args:
        parts: `(n, k, parts)` scores of the query with its candidates, best first.
        among: of the e best of them, as queries, with all.
        offsets: `(parts,)` what is to be added to a score to count it so.

    Returns:
        `(n, k, parts)`, -inf where no source above says anything.
    """
    e, k = among.scores.shape[1:3]
    query, between = parts[:, :e] + offsets, among.scores + offsets
    own = between[:, np.arange(e), np.arange(e)]
    with np.errstate(invalid="ignore", divide="ignore"):
        kept = np.where(own > 0, np.clip(query / own, 0, 1), 0)
        expected = kept[:, :, None] * between - offsets
    above = np.arange(e)[:, None] < np.arange(k)
    alike = (among.apart <= 2 * (1 - SAME_PICTURE)).all(axis=3)
    says = (above & ~alike)[..., None] & np.isfinite(between) & np.isfinite(query)[:, :, None]
    explained = np.where(says, expected, -np.inf).max(axis=1, initial=-np.inf)
    return np.asarray(explained, np.float32)
