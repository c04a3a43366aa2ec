r"""How long a list must be to hold a true source as often as wanted.

Of a query whose sources are known, its depth is the part of the credit of all sources held that
stands before the first true one. A list that goes on as long as no more than :math:`\lambda` of the
credit stands before holds a true source if and only if the depth is at most :math:`\lambda`. That
loss is at most 1 and falls as the list grows, so by conformal risk control (Angelopoulos, Bates,
Fisch, Lei and Schuster, ICLR 2024) the smallest :math:`\lambda` with

.. math:: \frac{n}{n + 1} \hat R_n(\lambda) + \frac{1}{n + 1} \le 1 - r

misses in at most :math:`1 - r` of further queries exchangeable with the :math:`n` that were looked
at: the :math:`\lceil (n + 1) r \rceil`-th smallest of their depths. Knows numbers, no source.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
LEAST, MOST = 0.5, 0.99
_DIGITS = 6  # of a depth that is kept, rounded up


class RecallTooLarge(ValueError):
    """The queries that lists were measured on do not bear out such a rate."""

    def __init__(self, rate: float, largest: float) -> None:
        if largest:
            reason = f"lists hold a true source in at most {largest:g} of the queries looked at"
        else:
            reason = "how often a list holds a true source was never measured"
        super().__init__(
            f"a recall of {rate:g} cannot be promised: {reason}; ask for less, or run `attribution "
            "calibrate` with more --queries"
        )
        self.largest = largest


@dataclass(frozen=True, slots=True)
class Recall:
    """Depths by which lists are cut, and the queries that they were measured on.

    Attributes:
        depths: by rate, in hundredths; one that is missing cannot be promised.
        kinds: of those queries, in words.
    """

    depths: Mapping[int, float] = field(default_factory=dict)
    kinds: str = ""

    @classmethod
    def measured(cls, depths: Values, kinds: str) -> Recall:
        """What `(n,)` depths bear out.

        Args:
            depths: of `depths_of`, by shares whose fit has not seen these queries' sources.
            kinds: of the queries, in words.
        """
        ordered, scale = np.sort(depths), 10**_DIGITS
        found = {}
        for rate in range(round(LEAST * 100), round(MOST * 100) + 1):
            place = math.ceil((len(ordered) + 1) * rate / 100 - 1e-9)
            if place <= len(ordered) and np.isfinite(ordered[place - 1]):
                found[rate] = math.ceil(float(ordered[place - 1]) * scale) / scale
        return cls(found, kinds)

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Recall:
        """As `document` keeps it; nothing is promised where there is none.

        Raises:
            TypeError, ValueError: it is not what `document` gives.
        """
        if document is None:
            return cls()
        depths = {int(rate): float(depth) for rate, depth in document["depths"].items()}
        if not all(0 <= depth <= 1 for depth in depths.values()):
            raise ValueError(f"depths are parts of the credit, not {depths}")
        return cls(depths, str(document["kinds"]))

    @property
    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "depths": {str(rate): depth for rate, depth in self.depths.items()},
            "kinds": self.kinds,
        }

    @property
    def largest(self) -> float:
        """The largest rate that can be promised; 0 where none can."""
        return max(self.depths, default=0) / 100

    def depth(self, rate: float) -> float:
        """Part of the credit that may stand before the last source of a list.

        Raises:
            RecallTooLarge: beyond what the queries looked at bear out.
        """
        borne_out = [each for each in self.depths if each >= rate * 100 - 1e-9]
        if not borne_out:
            raise RecallTooLarge(rate, self.largest)
        return self.depths[min(borne_out)]

    def listed(self, rate: float, shares: Values) -> NDArray[np.intp]:
        """`(n,)` candidates that the shortest lists hold.

        Args:
            rate: of queries whose list is to hold a true source.
            shares: `(n, k + 2)`, as `ShareModel.divide` gives them.

        Raises:
            RecallTooLarge: see `depth`.
        """
        return np.asarray((_before(shares) <= self.depth(rate)).sum(axis=1), np.intp)


NOTHING_MEASURED = Recall()


def depths_of(shares: Values, credit: Values) -> Values:
    """`(n,)` depth of each query's first true source; infinite where no candidate is one.

    Args:
        shares: `(n, k + 2)`, as `ShareModel.divide` gives them.
        credit: `(n, k + 2)` of the same, of queries with a source held; see `Examples`.
    """
    true = credit[:, :-2] > 0
    first = _before(shares)[np.arange(len(true)), true.argmax(axis=1)]
    return np.where(true.any(axis=1), first, np.inf)


def _before(shares: Values) -> Values:
    """`(n, k)`: of the credit of all sources held, what stands before each candidate."""
    candidates, held = shares[:, :-2], shares[:, :-1].sum(axis=1, keepdims=True)
    before = np.cumsum(candidates, axis=1) - candidates
    return np.asarray(np.clip(before / np.maximum(held, np.finfo(float).tiny), 0.0, 1.0))
