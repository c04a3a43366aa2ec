"""The frozen types of an answer; plain data, no search, no HTTP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from attribution.catalog import Source
from models.images.notes import Turn

Decision = Literal["attributed", "no_source_found"]
Guarantee = Literal["average", "background"]
"""What a p-value promises: alpha on average over draws of the background, or with 95 % confidence
for the one that is there."""
UNLIKE = 0.01
"""Likeness to the background from which on downwards an image is said to be unlike it."""
Match = Literal["identical", "copy"]
Reason = Literal["nothing-held", "no-content"]


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
class PromisedRecall:
    """That the list holds a true source at this rate, of queries of these kinds that have one."""

    rate: float
    kinds: str


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
        match: whether the query is this very picture, by its bytes or by its pixels.
        copies: other sources that show the same picture, of which this is the best match; not
            listed again.
    """

    rank: int
    source: Source
    score: float
    p_value: float | None
    share: float
    attributed: bool
    match: Match | None = None
    copies: tuple[Source, ...] = ()

    @property
    def showing(self) -> tuple[Source, ...]:
        """All sources that show the picture, this one first."""
        return (self.source, *self.copies)


@dataclass(frozen=True, slots=True)
class Attribution:
    """The answer for one query.

    `decision` and `p_value` are None without calibration. Shares of `sources`, `other_share`
    (candidates beyond `top_k`) and `unattributed_share` add up to 1. `content` is whether the image
    shows anything to compare; where it does not, no source is claimed. `guarantee` is what the
    p-values promise, and `recall`, where it was asked for, what the length of the list does.
    `likeness` is the part of the background's images that are no more ordinary than the query:
    where it is very small, p-values rest on images unlike it. None where it is not known.
    `turned` says by how many degrees to the left the query is turned (0, 90, 180 or 270) against
    the picture that the answer is about. `finest` is the smallest p-value that the background has;
    None without calibration, and where it is not known any more.
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
    content: bool = True
    guarantee: Guarantee = "average"
    recall: PromisedRecall | None = None
    likeness: float | None = None
    turned: Turn = 0
    finest: float | None = None

    @property
    def unlike_background(self) -> bool:
        """Whether p-values rest on images unlike this one, so that they may not hold."""
        return self.likeness is not None and self.likeness <= UNLIKE

    @property
    def reason(self) -> Reason | None:
        """Why nothing could be found: nothing is held, or nothing is shown. None where it could."""
        if not self.sources:
            return "nothing-held"
        return None if self.content else "no-content"

    def without_content(self) -> Attribution:
        """The same about an image that shows nothing: ranked still, and no source is claimed."""
        p_value = None if self.p_value is None else 1.0
        return replace(
            self,
            decision=decision_of(p_value, self.alpha),
            p_value=p_value,
            sources=tuple(
                replace(each, p_value=p_value, share=0.0, attributed=False) for each in self.sources
            ),
            other_share=0.0,
            unattributed_share=1.0,
            content=False,
        )
