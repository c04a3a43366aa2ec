"""Candidates from the index, scored exactly by the encoder's rule. Knows no calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from attribution.index import Hits, Index, VectorsMissing
from models.encoder import Encoder
from models.parts import Part

Rows = NDArray[np.float32]
T = TypeVar("T", bound=np.generic)
Rule = Literal["single", "max-standardised", "harmonic-mean-p"]
BLOCK = 64  # views of queries whose candidates are gathered at once; bounds memory
OVERFETCH = 4  # candidates that a part proposes for each row wanted, where parts are added up
_MEDIAN, _HIGH = 0.5, 0.9  # quantiles that fix a Gumbel distribution; robust to near-duplicates


class Fusion:
    r"""How the views and parts of a query and the parts of a source make one score.

    One part: its cosine. Several: each part's cosines are first standardised by the query's own
    cosines with the reference rows, so that a part on which the query resembles everything counts
    for little; of the reference only mean and covariance enter. Then one of two rules:

    - `max-standardised`: the largest of the parts' standardised scores :math:`z_p`.
    - `harmonic-mean-p`: the parts' standardised scores become p-values and are combined by their
      harmonic mean (Wilson, "The harmonic mean p-value for combining dependent tests", PNAS
      2019). The best score of an image that has no source is nearly Gumbel distributed, with a
      tail :math:`p \approx e^{-(z-\mu_p)/\beta_p}`, so the score is

      .. math:: s = \log \sum_p \exp\big( (z_p - \mu_p) / \beta_p \big)

      with location and scale of each part from the best scores of reference rows among each
      other. A part whose best scores are high for anything (semantics: there is always another
      dog) must then show more than one whose best scores never are (outlines). In a larger
      gallery all parts shift alike, by the logarithm of its size.

    A query of several views, such as an image and its mirror image, has the largest of the views'
    scores; each view is standardised as if it were a query of its own.

    Args:
        parts: slices of a row.
        reference: `(m, d)` rows of images outside any gallery, embedded as sources; may be empty
            for one part.
        views: rows that a query has, side by side.
        rule: how parts are joined; with one part there is nothing to join.
        reference_queries: `(m, d)` rows of the same images, embedded as queries of one view;
            `reference` where that makes no difference.
    """

    def __init__(
        self,
        parts: tuple[Part, ...],
        reference: Rows,
        views: int = 1,
        rule: Rule = "max-standardised",
        *,
        reference_queries: Rows | None = None,
    ) -> None:
        if not parts:
            raise ValueError("an encoder has at least one part")
        if len(parts) > 1 and rule == "single":
            raise ValueError(f"{len(parts)} parts need a rule that joins them")
        if len(parts) > 1 and len(reference) < 2:
            raise ValueError("the scores of several parts cannot be fused without reference rows")
        self.parts = parts
        self.reference = reference
        self.views = views
        self.rule: Rule = rule if len(parts) > 1 else "single"
        self._moments: list[_Moments] = []
        if len(parts) > 1:
            queries = reference if reference_queries is None else reference_queries
            self._moments = [
                _Moments.of(reference[:, part.columns], queries[:, part.columns]) for part in parts
            ]

    @property
    def overfetch(self) -> int:
        """Candidates that each part should propose for every row wanted."""
        return OVERFETCH if self.rule == "harmonic-mean-p" else 1

    def scores(self, queries: Rows, rows: Rows) -> Rows:
        """Score every query with every row, or with its own rows.

        Args:
            queries: `(n, views * d)`.
            rows: `(m, d)` shared, or `(n, m, d)` one set a query.

        Returns:
            `(n, m)` float32.

        Raises:
            ValueError: queries of another width.
        """
        join = np.logaddexp if self.rule == "harmonic-mean-p" else np.maximum
        views = (
            reduce(
                join,
                (self._part_scores(index, view, rows) for index in range(len(self.parts))),
            )
            for view in self.views_of(queries)
        )
        return reduce(np.maximum, views).astype(np.float32, copy=False)

    def views_of(self, queries: Rows) -> list[Rows]:
        """`(n, views * d)` rows cut into `(n, d)` ones, each as wide as a source's.

        Raises:
            ValueError: queries of another width.
        """
        dimension = max(part.stop for part in self.parts)
        if queries.ndim != 2 or queries.shape[1] != self.views * dimension:
            raise ValueError(
                f"queries must be (n, {self.views * dimension}), {self.views} x {dimension} "
                f"columns, not {queries.shape}: encode them with this encoder and domain 'query'"
            )
        return [
            queries[:, start : start + dimension] for start in range(0, queries.shape[1], dimension)
        ]

    def _part_scores(self, index: int, view: Rows, rows: Rows) -> Rows:
        columns = self.parts[index].columns
        q, r = view[:, columns], rows[..., columns]
        cosines: Rows = q @ r.T if rows.ndim == 2 else np.matmul(r, q[:, :, None])[..., 0]
        if not self._moments:
            return cosines
        moments = self._moments[index]
        standardised = moments.standardise(q, cosines)
        if self.rule == "max-standardised":
            return standardised
        calibrated: Rows = (standardised - moments.location) / moments.scale
        return calibrated


@dataclass(frozen=True, slots=True)
class _Moments:
    """What is kept of one part's reference rows."""

    mean: Rows
    covariance: Rows
    location: float
    """Of the Gumbel distribution of a reference row's best standardised score."""
    scale: float

    @classmethod
    def of(cls, rows: Rows, queries: Rows) -> _Moments:
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

    def standardise(self, queries: Rows, cosines: Rows) -> Rows:
        """`(n, m)` cosines of `(n, k)` queries, by what each query has with the reference."""
        expected = queries @ self.mean
        variance = np.einsum("ni,ij,nj->n", queries, self.covariance, queries, optimize=True)
        deviation = np.sqrt(np.maximum(variance, 1e-12))
        standardised: Rows = (cosines - expected[:, None]) / deviation[:, None]
        return standardised


def fusion_of(encoder: Encoder, *, views: int | None = None) -> Fusion:
    """The rule that an encoder's card asks for; of fewer views where they are scored apart."""
    return Fusion(
        encoder.parts,
        encoder.reference,
        encoder.views if views is None else views,
        encoder.fusion,
        reference_queries=encoder.reference_queries,
    )


def retrieve(
    index: Index,
    fusion: Fusion,
    queries: Rows,
    k: int,
    *,
    collections: frozenset[str] | None = None,
) -> Hits:
    """The k best rows of each query under the fused score.

    Each part of each view proposes its own best. Under the rule of the largest k of them are
    enough and nothing is lost: a row among the fused k best has fewer than k rows above it in the
    view and part that gave its score. Where parts add up, a row could in principle be among the
    best without standing out in any part, so each proposes `OVERFETCH` times as many. Padding is
    as in `Hits`; equal scores rank by ascending id.

    Args:
        index: rows of sources.
        fusion: the encoder's rule.
        queries: `(n, views * d)`.
        k: rows a query.
        collections: searched set; None for all.
    """
    step = max(1, BLOCK // fusion.views)
    found = [
        _retrieve_block(index, fusion, queries[start : start + step], k, collections)
        for start in range(0, len(queries), step)
    ]
    if not found:
        return Hits(np.empty((0, k), np.int64), np.empty((0, k), np.float32))
    return Hits(
        np.concatenate([hits.ids for hits in found]),
        np.concatenate([hits.scores for hits in found]),
    )


def _retrieve_block(
    index: Index, fusion: Fusion, queries: Rows, k: int, collections: frozenset[str] | None
) -> Hits:
    views = fusion.views_of(queries)
    if len(views) == len(fusion.parts) == 1:
        return index.search(queries, k, collections=collections)
    proposed = k * fusion.overfetch
    while True:
        proposals = [
            index.search(view, proposed, part=part.name, collections=collections).ids
            for view in views
            for part in fusion.parts
        ]
        candidates = unique_per_row(np.concatenate(proposals, axis=1))
        known = np.unique(candidates[candidates >= 0])
        try:
            rows = index.vectors(known)
        except VectorsMissing:
            continue  # removed between search and fetch: search again without them
        return _rank(fusion, queries, candidates, known, rows, k)


def _rank(
    fusion: Fusion,
    queries: Rows,
    candidates: NDArray[np.int64],
    known: NDArray[np.int64],
    rows: Rows,
    k: int,
) -> Hits:
    if not len(known):
        n = len(queries)
        return Hits(np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32))
    places = np.searchsorted(known, candidates.clip(min=known[0]))
    # Candidates of a block are mostly shared, so one product with all of them is quicker than a
    # gather of each query's own.
    scores = np.take_along_axis(fusion.scores(queries, rows), places, axis=1)
    scores[candidates < 0] = -np.inf
    order = np.lexsort((candidates, -scores), axis=1)[:, :k]
    ids = np.take_along_axis(candidates, order, axis=1)
    ranked = np.take_along_axis(scores, order, axis=1)
    return Hits(_padded(ids, k, -1), _padded(ranked, k, -np.inf))


def unique_per_row(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort each row and replace repeats by -1."""
    ordered = np.sort(ids, axis=1)
    repeated = np.zeros_like(ordered, dtype=bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return np.where(repeated, -1, ordered)


def _padded(values: NDArray[T], k: int, fill: float) -> NDArray[T]:
    missing = k - values.shape[1]
    if missing <= 0:
        return values
    return np.pad(values, ((0, 0), (0, missing)), constant_values=fill)
