"""The null: statistics of background images against the searched set, and p-values from it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.answer import Guarantee
from attribution.calibration.guarantee import conditional_levels
from models.background import STRATA, Stratum

logger = logging.getLogger(__name__)
SMALLEST_STRATUM = 100
"""Background images below which a stratum is left out, unless it is the largest: no p-value falls
below `1 / (n + 1)`, so a handful of images would forbid every decision at alpha 0.01."""


@dataclass(frozen=True, slots=True, eq=False)
class StratumNull:
    """Statistics of the images of one stratum that have no source.

    Attributes:
        name: what was done to the pictures.
        statistics: `(n,)` ascending.
        copies: images left out because the searched set holds the picture.
    """

    name: Stratum
    statistics: NDArray[np.float32]
    copies: int = 0

    def p_values(
        self, statistics: NDArray[np.float32], guarantee: Guarantee = "average"
    ) -> NDArray[np.float64]:
        r"""Conformal p-value of each statistic among this stratum.

        .. math:: p = \frac{1 + \#\{i : T_i \ge t\}}{n + 1}

        For a query exchangeable with the stratum, :math:`P(p \le \alpha) \le \alpha` (Vovk et
        al., 2005), on average over draws of the stratum. Under the guarantee `background` it is
        raised to hold for the one that is there; see `conditional_levels`.
        """
        n = len(self.statistics)
        larger = n - np.searchsorted(self.statistics, statistics, side="left")
        if guarantee == "background":
            return np.asarray(conditional_levels(n)[larger], dtype=np.float64)
        return np.asarray((1.0 + larger) / (n + 1.0), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Null:
    """What queries without a source look like, stratum by stratum.

    Attributes:
        strata: at least one.
        generation: the index generation they were taken at.
    """

    strata: tuple[StratumNull, ...]
    generation: int

    def smallest_alpha(self, guarantee: Guarantee = "average") -> float:
        """No p-value is smaller than that of no larger statistic in the smallest stratum."""
        return float(self.p_values(np.array([np.inf], np.float32), guarantee)[0])

    def p_values(
        self, statistics: NDArray[np.float32], guarantee: Guarantee = "average"
    ) -> NDArray[np.float64]:
        r"""The largest of the strata's p-values, of each statistic.

        .. math:: p = \max_s p_s

        Queries may be photographs, generated or laundered, and nobody says which. The p-value of
        the stratum that a query is exchangeable with is valid, and the largest is no smaller:
        :math:`P(\max_s p_s \le \alpha) \le P(p_{s'} \le \alpha) \le \alpha` for every
        :math:`s'`. So the guarantee holds for queries exchangeable with *any one* of the strata,
        and for any mixture of such queries; what it costs is power.

        Every candidate is compared with the background's *best* match, so that over all
        candidates of a query without source the chance of any rejection is at most alpha (max-T,
        Westfall and Young, 1993).
        """
        largest: NDArray[np.float64] = np.max(
            [stratum.p_values(statistics, guarantee) for stratum in self.strata], axis=0
        )
        return largest


def null_of(
    statistics: NDArray[np.float32],
    strata: NDArray[np.uint8],
    copies: NDArray[np.bool_],
    generation: int,
) -> Null:
    """Sort the background's statistics into strata.

    Which strata count depends on the background alone and not on how many of its images turn out
    to be copies, so that the rule does not look at the searched set.

    Args:
        statistics: `(n,)` of each background image's best match.
        strata: `(n,)` places in `STRATA`.
        copies: `(n,)` images to leave out.
        generation: the index generation of the statistics.
    """
    found = []
    for place in counted(strata):
        inside = strata == place
        kept = np.sort(statistics[inside & ~copies])
        found.append(StratumNull(STRATA[place], kept, int((inside & copies).sum())))
    return Null(tuple(found), generation)


def counted(strata: NDArray[np.uint8]) -> list[int]:
    """Places in `STRATA` of the strata that are large enough to count, or the largest."""
    sizes = np.bincount(strata, minlength=len(STRATA))
    wanted = [place for place in np.flatnonzero(sizes).tolist() if sizes[place] >= SMALLEST_STRATUM]
    return wanted or [int(sizes.argmax())]


def warn_of_small_strata(strata: NDArray[np.uint8]) -> None:
    """Log which strata of a background do not count."""
    for place in set(np.unique(strata).tolist()) - set(counted(strata)):
        logger.warning(
            "the background has only %d %s images, fewer than %d: they are left out, and false "
            "attributions are not bounded for queries like them",
            int((strata == place).sum()), STRATA[place], SMALLEST_STRATUM,
        )  # fmt: skip
