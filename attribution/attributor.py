"""The answer to a query: search, exact re-score, calibrate, join. Orchestration only."""

from __future__ import annotations

import numpy as np

from attribution.answer import Attribution, CalibrationState, RankedSource
from attribution.calibration import AlphaTooSmall, Calibrated, Calibration
from attribution.calibration.groups import groups_of
from attribution.calibration.statistic import (
    DEPTH,
    Scores,
    TooFewNeighbours,
)
from attribution.catalog import Catalog, Source
from attribution.index import Hits, Index
from attribution.retrieval import Rows, retrieve
from models.encoder import Encoder

DEFAULT_ALPHA = 0.01
DEFAULT_TOP_K = 10
LARGEST_TOP_K = 100
# Candidates fetched whatever top_k, so that shares do not depend on it; some beyond what is listed,
# so that sources deleted meanwhile leave no gap.
_DEPTH = LARGEST_TOP_K + 28


class Attributor:
    """Answers queries that are already embedded.

    Safe to call from several threads. A source deleted before the call is in no answer: the
    catalog has the last word on what exists.

    Args:
        encoder: the one that embedded the queries and the index.
        catalog: records of sources.
        index: nearest vectors.
        calibration: p-values and shares.
    """

    def __init__(
        self, encoder: Encoder, catalog: Catalog, index: Index, calibration: Calibration
    ) -> None:
        self.encoder, self.catalog, self.index = encoder, catalog, index
        self.calibration = calibration

    def attribute(
        self,
        embeddings: Rows,
        *,
        top_k: int = DEFAULT_TOP_K,
        collections: frozenset[str] | None = None,
        alpha: float = DEFAULT_ALPHA,
    ) -> list[Attribution]:
        """Answer each query, independently of the others.

        Args:
            embeddings: `(n, query_dimension)` float32 rows of `encoder`, domain `query`.
            top_k: sources listed, 1 to 100.
            collections: searched set; None for all.
            alpha: largest rate of false attribution to accept, in (0, 1).

        Raises:
            ValueError: `top_k` or `alpha` out of range, or rows of another width.
            AlphaTooSmall: the background cannot bear out this alpha.
        """
        if not 1 <= top_k <= LARGEST_TOP_K:
            raise ValueError(f"top_k must be 1 to {LARGEST_TOP_K}, not {top_k}")
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
        generation = self.index.generation
        hits = retrieve(
            self.index,
            self.calibration.reference.fusion,
            embeddings,
            _DEPTH,
            collections=collections,
        )
        calibrated = self.calibration.current(collections)
        if calibrated.null is not None and alpha < calibrated.null.smallest_alpha:
            raise AlphaTooSmall(alpha, calibrated.null.smallest_alpha)
        records = self.catalog.by_vector_ids(np.unique(hits.ids[hits.ids >= 0]).tolist())
        hits = _live(hits, records)
        statistics = self._statistics(embeddings, hits)
        if statistics is None:  # nothing to standardise by: ranks only
            calibrated = Calibrated(None, CalibrationState(calibrated.state.id, "missing"))
            statistics = hits.scores
        return [
            self._answer(
                hits.ids[row],
                hits.scores[row],
                statistics[row],
                records,
                calibrated,
                top_k=top_k,
                alpha=alpha,
                generation=generation,
            )
            for row in range(len(embeddings))
        ]

    def _statistics(self, embeddings: Rows, hits: Hits) -> Scores | None:
        """`(n, k)` standardised scores; None where there is nothing to compare with."""
        reference = self.calibration.reference
        outside = reference.nearest_scores(reference.fusion.prepare(embeddings))
        groups = groups_of(self.index, hits.ids[:, :DEPTH])
        try:
            return reference.statistics(hits.scores, groups, outside)
        except TooFewNeighbours:
            return None

    def _answer(
        self,
        ids: np.ndarray,
        scores: Scores,
        statistics: Scores,
        records: dict[int, Source],
        calibrated: Calibrated,
        *,
        top_k: int,
        alpha: float,
        generation: int,
    ) -> Attribution:
        found = [place for place in range(len(ids)) if ids[place] >= 0]
        null = calibrated.null
        p_values = null.p_values(statistics) if null is not None else None
        level = null.quantile(DEFAULT_ALPHA) if null is not None else -float("inf")
        shares, unattributed = self.calibration.shares.split(statistics, level)
        ranked = tuple(
            RankedSource(
                rank=rank,
                source=records[int(ids[place])],
                score=float(scores[place]),
                p_value=None if p_values is None else float(p_values[place]),
                share=float(shares[place]),
                attributed=p_values is not None and bool(p_values[place] <= alpha),
            )
            for rank, place in enumerate(found[:top_k], start=1)
        )
        best = None if p_values is None else float(p_values[0]) if found else 1.0
        return Attribution(
            model_id=self.encoder.model_id,
            index_generation=generation,
            decision=None if best is None else "attributed" if best <= alpha else "no_source_found",
            p_value=best,
            alpha=alpha,
            calibration=calibrated.state,
            sources=ranked,
            other_share=float(sum(shares[place] for place in found[top_k:])),
            unattributed_share=unattributed,
        )


def _live(hits: Hits, records: dict[int, Source]) -> Hits:
    """Move what the catalog no longer holds behind the rest, as padding."""
    gone = ~np.isin(hits.ids, np.fromiter(records, np.int64, count=len(records)))
    if not gone.any():
        return hits
    order = np.argsort(gone, axis=1, kind="stable")
    return Hits(
        np.take_along_axis(np.where(gone, -1, hits.ids), order, axis=1),
        np.take_along_axis(np.where(gone, -np.inf, hits.scores), order, axis=1).astype(np.float32),
    )
