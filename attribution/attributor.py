"""The answer to a query: search, exact re-score, calibrate, join. Orchestration only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from attribution.answer import (
    Attribution,
    CalibrationState,
    Guarantee,
    PromisedRecall,
    RankedSource,
    decision_of,
)
from attribution.calibration import AlphaTooSmall, Calibrated, Calibration, Null
from attribution.calibration.explained import ABOVE, explained_scores
from attribution.calibration.reference import Statistics
from attribution.calibration.shares.newest import NewestShares, Shares
from attribution.calibration.shares.recall import LEAST, MOST
from attribution.calibration.statistic import Groups, Scores, TooFewNeighbours
from attribution.candidates import Copies, candidates
from attribution.catalog import Catalog, Source
from attribution.index import Hits, Index
from attribution.retrieval.fusion import Queries, Rows
from attribution.retrieval.retrieval import Ids, part_scores_of, scores_among, scores_with
from models.encoder import Encoder
from models.images.notes import TURNS

DEFAULT_ALPHA = 0.01
LARGEST_ALPHA = 0.5
DEFAULT_TOP_K = 10
LARGEST_TOP_K = 100
MOST_COPIES = 100
"""Sources listed as copies of one."""
Divided = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Terms:
    """What besides the query decides an answer.

    Attributes:
        top_k: sources listed, 1 to 100.
        collections: searched set; None for all.
        alpha: largest rate of false attribution to accept, above 0 and at most .5.
        guarantee: what that rate is promised of.
        no_source: share of such queries believed to come from no source held, in (0, 1), which
            shares start from; None for what they were fitted with.
        recall: instead of `top_k`, list as few sources as hold a true one at this rate, .5 to .99,
            on queries like those that `Shares.recall` was measured on.
        any_way_up: queries may be turned and are looked at in four ways, each of which may spend a
            quarter of alpha; the answers are put together by `looks.best_of`.

    Raises:
        ValueError: `top_k`, `alpha` or `recall` out of range.
    """

    top_k: int = DEFAULT_TOP_K
    collections: frozenset[str] | None = None
    alpha: float = DEFAULT_ALPHA
    guarantee: Guarantee = "average"
    no_source: float | None = None
    recall: float | None = None
    any_way_up: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.top_k <= LARGEST_TOP_K:
            raise ValueError(f"top_k must be 1 to {LARGEST_TOP_K}, not {self.top_k}")
        if not 0 < self.alpha <= LARGEST_ALPHA:
            raise ValueError(f"alpha must be above 0 and at most {LARGEST_ALPHA}, not {self.alpha}")
        if self.recall is not None and not LEAST <= self.recall <= MOST:
            raise ValueError(f"recall must be {LEAST} to {MOST}, not {self.recall}")

    def smallest_alpha(self, null: Null) -> float:
        """What the background can bear out, where every look may spend its part of alpha."""
        return (len(TURNS) if self.any_way_up else 1) * null.smallest_alpha(self.guarantee)


_DEFAULT = Terms()


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Candidates of n queries, best first, -1 and -inf where there are fewer than k.

    Attributes:
        hits: `(n, k)` vector ids and scores, a picture once.
        copies: of each query, vector ids by the candidate that shows the same picture.
        statistics: `(n, k)` of the same, which p-values are of.
        heights: `(n, k)` of the same, which shares are of.
        calibrated: the null of the searched set.
        generation: of the index when it was asked.
        likeness: `(n,)` of each query to the background; None where that cannot be told.
    """

    hits: Hits
    copies: tuple[Copies, ...]
    statistics: Scores
    heights: Scores
    calibrated: Calibrated
    generation: int
    likeness: NDArray[np.float64] | None = None

    def showing(self, query: int, ids: Collection[int]) -> NDArray[np.intp]:
        """Places of a query's candidates that are, or show the same as, any of these sources."""
        copies = self.copies[query]
        wanted = {first for first, others in copies.items() if np.isin(others, list(ids)).any()}
        return np.flatnonzero(np.isin(self.hits.ids[query], list(wanted.union(ids))))

    @property
    def p_values(self) -> NDArray[np.float64]:
        """`(n,)` of each query's best, on average over backgrounds; NaN without a null."""
        null = self.calibrated.null
        if null is None:
            return np.full(len(self.statistics), np.nan)
        return null.p_values(self.statistics[:, 0])


@dataclass(frozen=True, slots=True, eq=False)
class _Listed:
    """What answers are made of: shares as `ShareModel.divide` gives them, and how many are listed.

    Candidates are found without gaps, so that of `lengths[i]` listed all come first.
    """

    ranking: Ranking
    shares: Divided
    lengths: tuple[int, ...]
    sources: Mapping[int, Source]


class Attributor:
    """Answers queries that are already embedded.

    Safe to call from several threads. A source deleted before the call is in no answer: the
    catalog has the last word on what exists.

    Args:
        encoder: the one that embedded the queries and the index.
        catalog: records of sources.
        index: nearest vectors.
        calibration: p-values.
        shares: how credit is divided; by general constants where None.
    """

    def __init__(
        self,
        encoder: Encoder,
        catalog: Catalog,
        index: Index,
        calibration: Calibration,
        shares: NewestShares | None = None,
    ) -> None:
        self.encoder, self.catalog, self.index = encoder, catalog, index
        self.calibration = calibration
        self._one_view = calibration.reference.fusion.of_one_view()
        self.shares = shares or NewestShares(catalog, encoder.model_id)

    def attribute(self, embeddings: Rows, terms: Terms = _DEFAULT) -> list[Attribution]:
        """Answer each query, independently of the others.

        Args:
            embeddings: `(n, query_dimension)` float32 rows of `encoder`, domain `query`.
            terms: of all of them.

        Raises:
            ValueError: `no_source` out of range, or rows of another width.
            AlphaTooSmall: the background cannot bear out this alpha.
            RecallTooLarge: no list is known to hold a true source that often.
        """
        shares = self.shares.current().believing(terms.no_source)
        listed = self._listed(embeddings, terms, shares)
        calibrated = listed.ranking.calibrated
        if calibrated.null is not None and terms.alpha < terms.smallest_alpha(calibrated.null):
            raise AlphaTooSmall(terms.alpha, terms.smallest_alpha(calibrated.null))
        state = replace(calibrated.state, id=shares.name(calibrated.state))
        promised = None
        if terms.recall is not None:
            promised = PromisedRecall(terms.recall, shares.recall.kinds)
        return [self._answer(listed, row, state, terms, promised) for row in range(len(embeddings))]

    def scores_with(self, embeddings: Rows, ids: Ids) -> Scores:
        """`(n, m)` scores of queries with `(m,)` vector ids, -inf of one that is not held."""
        asked = self.calibration.reference.fusion.prepare(embeddings)
        return scores_with(self.index, asked, ids)

    def at_hand(self, terms: Terms) -> bool:
        """Whether an answer waits for nothing: the null of the searched set is there."""
        return terms.collections is None and self.calibration.state().state != "building"

    def rank(
        self,
        embeddings: Rows,
        *,
        collections: frozenset[str] | None = None,
        left_out: Sequence[Collection[int]] | None = None,
    ) -> Ranking:
        """Candidates of each query with their statistics, before anything is decided or divided.

        A picture that is held several times is one candidate, so that its copies neither crowd out
        what else is held nor count more than once.

        Args:
            embeddings: `(n, query_dimension)`, as for `attribute`.
            collections: searched set; None for all.
            left_out: for each query vector ids to rank as if they were not held; None for none.
        """
        generation = self.index.generation
        asked = self.calibration.reference.fusion.prepare(embeddings)
        found = candidates(
            self.index, self.catalog, asked, LARGEST_TOP_K,
            collections=collections, left_out=left_out,
        )  # fmt: skip
        hits = found.hits
        calibrated = self.calibration.current(collections)  # asked after the search
        statistics = self._statistics(asked, hits, found.groups, calibrated.null)
        if statistics is None:  # nothing to standardise by: ranks only
            calibrated = Calibrated(None, replace(calibrated.state, state="missing"))
            statistics = Statistics(hits.scores, hits.scores)
        return Ranking(
            hits, found.copies, statistics.deciding, statistics.joined, calibrated, generation,
            self.calibration.likeness(asked),
        )  # fmt: skip

    def _listed(self, embeddings: Rows, terms: Terms, shares: Shares) -> _Listed:
        """Candidates, and what the catalog knows of those that are listed and of their copies.

        One that was deleted between the two is not listed: then all are ranked without it.
        """
        gone: set[int] = set()
        while True:
            left_out = [gone] * len(embeddings) if gone else None
            ranking = self.rank(embeddings, collections=terms.collections, left_out=left_out)
            divided = shares.model.divide(ranking.heights, ranking.p_values)
            lengths = [terms.top_k] * len(divided)
            if terms.recall is not None:
                lengths = shares.recall.listed(terms.recall, divided).tolist()
            firsts = [
                [each for each in ids[:length].tolist() if each >= 0]
                for ids, length in zip(ranking.hits.ids, lengths, strict=True)
            ]
            wanted = set(chain.from_iterable(firsts))
            shown = {
                int(other)
                for ids, copies in zip(firsts, ranking.copies, strict=True)
                for first in ids
                for other in copies.get(first, ())[:MOST_COPIES]
            }
            sources = self.catalog.by_vector_ids(sorted(shown | wanted))
            missing = wanted - sources.keys()
            if not missing:
                return _Listed(ranking, divided, tuple(map(len, firsts)), sources)
            gone |= missing

    def _statistics(
        self, asked: Queries, hits: Hits, groups: Groups, null: Null | None
    ) -> Statistics | None:
        """Standardised scores; None where there is nothing to compare with.

        Whether another source explains a candidate is only looked at where its p-value could
        matter, which saves most queries without source the time.
        """
        reference = self.calibration.reference
        outside = reference.nearest_scores(asked)
        parts = part_scores_of(self.index, asked, hits.ids)
        try:
            statistics = reference.statistics(hits.scores, parts, groups, outside)
        except TooFewNeighbours:
            return None
        if null is None:
            return statistics
        rows = np.flatnonzero(null.p_values(statistics.deciding[:, 1]) <= LARGEST_ALPHA)
        if len(rows):
            explained = self._explained(hits.ids[rows], parts[rows])
            beside = reference.beside(parts[rows], groups[rows], outside.parts[rows], explained)
            statistics.deciding[rows] = np.minimum(statistics.deciding[rows], beside)
        return statistics

    def _explained(self, ids: Ids, parts: Scores) -> Scores:
        """What of each candidate's scores the sources above it explain."""
        among = scores_among(self.index, self.encoder, ids, ABOVE, self._one_view)
        return explained_scores(parts, among, self._one_view.offsets)

    def _answer(
        self,
        listed: _Listed,
        row: int,
        state: CalibrationState,
        terms: Terms,
        promised: PromisedRecall | None,
    ) -> Attribution:
        """The answer of one query."""
        ranking, sources, shares = listed.ranking, listed.sources, listed.shares[row]
        alpha, length = terms.alpha, listed.lengths[row]
        ids, null = ranking.hits.ids[row], ranking.calibrated.null
        copies = {first: each.tolist() for first, each in ranking.copies[row].items()}
        statistics = ranking.statistics[row]
        p_values = null.p_values(statistics, terms.guarantee) if null is not None else None
        ranked = tuple(
            RankedSource(
                rank=rank,
                source=sources[int(ids[place])],
                score=float(ranking.hits.scores[row, place]),
                p_value=None if p_values is None else float(p_values[place]),
                share=float(shares[place]),
                attributed=p_values is not None and bool(p_values[place] <= alpha),
                copies=tuple(
                    sources[other]
                    for other in copies.get(int(ids[place]), ())[:MOST_COPIES]
                    if other in sources
                ),
            )
            for rank, place in enumerate(range(length), start=1)
        )
        best = None if p_values is None else float(p_values[0]) if ids[0] >= 0 else 1.0
        return Attribution(
            model_id=self.encoder.model_id,
            index_generation=ranking.generation,
            decision=decision_of(best, alpha),
            p_value=best,
            alpha=alpha,
            calibration=state,
            sources=ranked,
            other_share=float(max(0.0, shares[:-1].sum() - shares[:length].sum())),
            unattributed_share=float(shares[-1]),
            guarantee=terms.guarantee,
            recall=promised,
            likeness=None if ranking.likeness is None else float(ranking.likeness[row]),
            finest=None if null is None else null.smallest_alpha(terms.guarantee),
        )
