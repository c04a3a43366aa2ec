"""What of an encoder's reference rows standardises the cosines of a part. Knows no rule."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
_MEDIAN, _HIGH = 0.5, 0.9  # quantiles that fix a Gumbel distribution; robust to near-duplicates


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """What a query's cosine with anything is expected to be, and its unit; `(n,)` each."""

    expected: Rows
    unit: Rows


@dataclass(frozen=True, slots=True)
class Moments:
    """What is kept of one part's reference rows."""

    mean: Rows
    covariance: Rows
    location: float
    """Of the Gumbel distribution of a reference row's best standardised score."""
    scale: float

    @classmethod
    def of(cls, rows: Rows, queries: Rows) -> Moments:
        """Moments of one part's `(m, k)` reference rows, as sources and as queries."""
        mean = rows.mean(axis=0)
        centred = rows - mean
        covariance = centred.T @ centred / max(1, len(rows) - 1)
        plain = cls(mean.astype(np.float32), covariance.astype(np.float32), 0.0, 1.0)
        among = plain.standardise(queries, queries @ rows.T)
        np.fill_diagonal(among, -np.inf)
        median, high = np.quantile(among.max(axis=1), [_MEDIAN, _HIGH])
        spread = math.log(math.log(_MEDIAN) / math.log(_HIGH))
        scale = max(float(high - median) / spread, 1e-3)
        location = float(median) + scale * math.log(-math.log(_MEDIAN))
        return replace(plain, location=location, scale=scale)

    def level(self, queries: Rows, *, calibrated: bool) -> Level:
        """What standardises the cosines of `(n, k)` queries; `calibrated` to p-values too."""
        expected = queries @ self.mean
        variance = np.einsum("ni,ni->n", queries @ self.covariance, queries)
        deviation = np.sqrt(np.maximum(variance, 1e-12))
        if not calibrated:
            return Level(expected, deviation)
        # (z - location) / scale of a standardised z, in one step
        return Level(
            (expected + self.location * deviation).astype(np.float32),
            (deviation * self.scale).astype(np.float32),
        )

    def standardise(self, queries: Rows, cosines: Rows) -> Rows:
        """`(n, m)` cosines of `(n, k)` queries, by what each query has with the reference."""
        level = self.level(queries, calibrated=False)
        standardised: Rows = (cosines - level.expected[:, None]) / level.unit[:, None]
        return standardised
