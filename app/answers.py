"""What is asked of images, and what came of it; asks the attributor, and knows no service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, fields, replace
from typing import Generic, TypeVar

import numpy as np

from app.inference.batcher import Priority
from app.inference.embedder import Embedded
from app.inference.searches import Searched, Searches
from app.inference.timings import Timings
from app.telemetry.metrics import Metrics
from attribution.answer import Attribution
from attribution.attributor import Terms
from attribution.catalog import Catalog
from attribution.credentials.held import looked_up
from attribution.credentials.statement import Credentials
from attribution.explanation import Explanation
from attribution.explanation.pictures import heat_picture, png, region_picture
from attribution.looks import answer_of
from attribution.recognition import comes_into_question
from models.images.decoding import DecodedImage
from models.images.notes import Note


@dataclass(frozen=True, slots=True)
class Question(Terms):
    """What is asked of every image of a request: terms, and what a request knows besides.

    Attributes:
        min_generation: as the caller counts; as the catalog does, of a job that was accepted.
        reach: the collections that the caller is limited to, by whose changes generations are
            counted; None where there is no limit.
        explain: whether maps are drawn.
    """

    min_generation: int = 0
    reach: frozenset[str] | None = None
    explain: bool = False

    @property
    def terms(self) -> Terms:
        """What of it decides the answer: images with the same are searched for together."""
        return Terms(**{each.name: getattr(self, each.name) for each in fields(Terms)})


@dataclass(frozen=True, slots=True)
class HeatPictures:
    """The heat maps of one source as PNGs, over the query and over the source; see `SourceMaps`."""

    query: bytes
    source: bytes
    evidence: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """The maps of one answer, and as PNGs: of sources by rank, and of the query's regions."""

    explanation: Explanation
    heat: Mapping[int, HeatPictures]
    regions: bytes

    @classmethod
    def of(cls, explanation: Explanation) -> Explained:
        """Draw the pictures, which takes its time: not on an event loop."""
        heat = {
            each.rank: HeatPictures(
                png(heat_picture(each.query)),
                png(heat_picture(each.source)),
                None if each.evidence is None else png(heat_picture(each.evidence)),
            )
            for each in explanation.sources
        }
        return cls(explanation, heat, png(region_picture(explanation.region_map)))


@dataclass(frozen=True, slots=True)
class QueryImage:
    """What is known of the image that was asked about, once it is gone; see `DecodedImage`."""

    sha256: str
    width: int
    height: int
    format: str
    notes: tuple[Note, ...] = ()


Asked = TypeVar("Asked", DecodedImage, QueryImage)


@dataclass(frozen=True, slots=True, eq=False)
class Answer(Generic[Asked]):
    """One image's attribution, what it took, and what the image's own manifest says."""

    query: Asked
    attribution: Attribution
    timings: Timings
    explained: Explained | None = None
    credentials: Credentials | None = None

    def seen_as(self, generation: int) -> Answer[Asked]:
        """The same with the last write that it has seen as its reader counts."""
        return replace(self, attribution=replace(self.attribution, index_generation=generation))

    def after(self, seconds: float) -> Answer[Asked]:
        """The same to somebody who has waited so long for it."""
        return replace(self, timings=replace(self.timings, total=seconds))


FreshAnswer = Answer[DecodedImage]
"""One whose image is at hand."""
KeptAnswer = Answer[QueryImage]
"""One that is read from where it was kept."""


def begin_asking(
    searches: Searches[Terms, Attribution],
    embedded: Embedded,
    question: Question,
    *,
    priority: Priority = "interactive",
) -> Future[Searched[Attribution]]:
    """Queue one image for a search together with whatever else waits; see `Searches.submit`."""
    return searches.submit(question.terms, np.stack(embedded.described.rows), priority=priority)


def answered(embedded: Embedded, searched: Searched[Attribution], metrics: Metrics) -> FreshAnswer:
    """What came of `begin_asking`, the best answer of all looks; the decision is counted."""
    attribution = answer_of(embedded.described, searched.found)
    timings = embedded.timings.searched(searched.search_seconds, waited=searched.queue_seconds)
    metrics.decided(
        attribution.decision, attribution.p_value, attribution.likeness, seconds=timings.total
    )
    return Answer(embedded.decoded, attribution, timings, credentials=embedded.credentials)


def comes_to_be_recognised(answer: FreshAnswer) -> bool:
    """Whether `recognise` has anything to look at."""
    said = answer.credentials
    return comes_into_question(answer.attribution, answer.query) or (
        said is not None and bool(said.ingredients)
    )


def recognise(
    catalog: Catalog, answers: Sequence[FreshAnswer], collections: frozenset[str] | None
) -> list[FreshAnswer]:
    """The same, saying of which sources each image is a copy, and which its manifest names.

    Reads previews: not on a loop.
    """
    told = []
    for each in answers:
        attribution, said = looked_up(
            catalog, each.attribution, each.query, each.credentials, collections=collections
        )
        told.append(replace(each, attribution=attribution, credentials=said))
    return told
