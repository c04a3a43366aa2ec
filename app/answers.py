"""What is asked of an image, and what came of it; plain data that knows no service."""

from __future__ import annotations

from dataclasses import dataclass

from app.inference.embedder import Embedded
from attribution.answer import Attribution
from attribution.explanation import Explanation


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every image of a request.

    Attributes:
        top_k: sources to list.
        alpha: rate of false attributions to accept.
        collections: the searched set; None for all.
        min_generation: as the caller counts.
        named: collections that the caller has named, which must exist.
        reach: the collections that the caller is limited to, by whose changes generations are
            counted; None where there is no limit.
        explain: whether maps are drawn.
    """

    top_k: int
    alpha: float
    collections: frozenset[str] | None
    min_generation: int
    named: frozenset[str] = frozenset()
    reach: frozenset[str] | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """The maps of one answer, and the seconds that they took."""

    explanation: Explanation
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """One image's attribution, and what it took.

    `generation` is the last write that the answer has seen, as the caller counts.
    """

    embedded: Embedded
    attribution: Attribution
    search_seconds: float
    generation: int
    explained: Explained | None = None
