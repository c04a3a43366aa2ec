"""The frozen types of an answer; plain data, no search, no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attribution.catalog import Source

Decision = Literal["attributed", "no_source_found"]
Reason = Literal["nothing-held"]


def decision_of(p_value: float | None, alpha: float) -> Decision | None:
    """What the p-value of the best source says; None where there is no p-value."""
    if p_value is None:
        return None
    return "attributed" if p_value <= alpha else "no_source_found"


@dataclass(frozen=True, slots=True)
class CalibrationState:
    """Whether scores can be turned into a decision at the moment.

    `fresh`: the null is that of the searched set. `building`: it is being computed or trails the
    index. `missing`: the encoder has no background. Unless fresh, no decision is made. In an answer
    `id` names the null and the share model together.
    """

    id: str | None
    state: Literal["fresh", "building", "missing"]


@dataclass(frozen=True, slots=True)
class RankedSource:
    """One candidate source of a query.

    Attributes:
        rank: from 1.
        source: its record.
        score: similarity under the encoder's rule; a cosine for an encoder of one part, and for
            several parts deviations above the query's similarity to unrelated images.
        p_value: share of source-less images that would show a best match as strong as this; None
            without calibration.
        share: how the credit divides: an estimate of the probability that a true source drawn
            uniformly from the query's is this one.
        attributed: `p_value <= alpha`.
    """

    rank: int
    source: Source
    score: float
    p_value: float | None
    share: float
    attributed: bool


@dataclass(frozen=True, slots=True)
class Attribution:
    """The answer for one query.

    `decision` and `p_value` are None without calibration. Shares of `sources`, `other_share`
    (candidates beyond `top_k`) and `unattributed_share` add up to 1.
    """

    model_id: str
    index_generation: int
    decision: Decision | None
    p_value: float | None
    alpha: float
    calibration: CalibrationState
    sources: tuple[RankedSource, ...]
    other_share: float
    unattributed_share: float

    @property
    def reason(self) -> Reason | None:
        """Why there is nothing to find: what was searched holds no source. None where it does."""
        return None if self.sources else "nothing-held"
