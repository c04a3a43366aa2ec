"""The results of a job: records of what was found, and the lines of JSON that are read of them.

A record names sources by their vector ids and says nothing else about them: the catalog is asked
when a result is read, so that what was deleted since is in no result.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from app.answers import Answer, FreshAnswer, KeptAnswer, QueryImage
from app.inference.timings import Timings
from app.problems.mapping import problem_of
from app.problems.problem import FieldError, Problem
from app.schemas.attribution import AttributionDocument
from app.schemas.problem import ProblemDocument
from attribution.answer import (
    Attribution,
    CalibrationState,
    PromisedRecall,
    RankedSource,
    decision_of,
)
from attribution.calibration.false_discovery import q_values_by_key
from attribution.catalog import Catalog, Ended, JobNotFound, JobResult, Source
from attribution.credentials.statement import Credentials, HeldIngredient, Ingredient
from models.images.notes import Note

_PAGE = 200


def answered(position: int, answer: FreshAnswer) -> Ended:
    """What is kept of an answer, with the generation as the catalog counts."""
    attribution, query = answer.attribution, answer.query
    sources = [
        {
            "source": ranked.source.vector_id,
            "rank": ranked.rank,
            "score": ranked.score,
            "p_value": ranked.p_value,
            "share": ranked.share,
            "attributed": ranked.attributed,
            "match": ranked.match,
            "copies": [copy.vector_id for copy in ranked.copies],
        }
        for ranked in attribution.sources
    ]
    record = {
        "attribution": _as_kept(attribution) | {"sources": sources},
        "query": {
            "width": query.width,
            "height": query.height,
            "format": query.format,
            "notes": [asdict(note) for note in query.notes],
        },
        "timings": asdict(answer.timings),
        "credentials": None if answer.credentials is None else _kept(answer.credentials),
    }
    return Ended(position, record, failed=False, sha256=query.sha256)


def failed(position: int, error: Exception) -> Ended:
    """What is kept of a failure."""
    problem = problem_of(error)
    kept = {
        "slug": problem.type.slug,
        "detail": problem.detail,
        "errors": [asdict(each) for each in problem.errors],
    }
    return Ended(position, {"problem": kept}, failed=True)


def lines(
    catalog: Catalog, job_id: str, *, after: int, shown: Callable[[int], int], ended: bool
) -> Iterator[str]:
    """JSON Lines of the results that follow `after`, page by page; ends where there are no more.

    `shown` turns a generation of the catalog into that of the reader. Each line has its q-value
    among all images of the job once that has `ended`, whatever part of them is asked for.
    """
    found = _q_values(catalog, job_id) if ended else {}
    for page in _pages(catalog, job_id, after):
        rows = (
            {
                "sequence": result.sequence,
                "index": result.position,
                "filename": result.filename,
                **_outcome(outcome, job_id, shown, found.get(result.sequence)),
            }
            for result, outcome in page
        )
        yield "".join(json.dumps(row) + "\n" for row in rows)


def _outcome(
    outcome: KeptAnswer | Problem,
    job_id: str,
    shown: Callable[[int], int],
    q_value: float | None,
) -> dict[str, Any]:
    if isinstance(outcome, Problem):
        problem = ProblemDocument.of(outcome, request_id=job_id)
        return {"problem": problem.model_dump(mode="json", exclude_defaults=True)}
    seen = outcome.seen_as(shown(outcome.attribution.index_generation))
    document = AttributionDocument.of(seen, request_id=job_id)
    return {"attribution": document.model_dump(mode="json"), "q_value": q_value}


def _pages(
    catalog: Catalog, job_id: str, after: int
) -> Iterator[list[tuple[JobResult, KeptAnswer | Problem]]]:
    """Results in order, each with what came of the image."""
    while True:
        try:
            page = catalog.jobs.results(job_id, after=after, limit=_PAGE)
        except JobNotFound:  # purged while it was being read
            return
        if not page:
            return
        named = {
            vector_id
            for result in page
            if not result.failed
            for ranked in result.record["attribution"]["sources"]
            for vector_id in _showing(ranked)
        } | {
            each["source"]
            for result in page
            if not result.failed
            for each in _named_in(result.record)
        }
        sources = catalog.by_vector_ids(sorted(named))
        yield [
            (result, _problem(result.record) if result.failed else _answer(result, sources))
            for result in page
        ]
        after = page[-1].sequence


def _q_values(catalog: Catalog, job_id: str) -> dict[int, float]:
    """By `sequence`, of the answers that have a p-value now."""
    return q_values_by_key(
        {
            result.sequence: outcome.attribution.p_value
            for page in _pages(catalog, job_id, 0)
            for result, outcome in page
            if isinstance(outcome, Answer)
        }
    )


def _problem(record: Mapping[str, Any]) -> Problem:
    kept = record["problem"]
    errors = [FieldError(**each) for each in kept["errors"]]
    return Problem(kept["slug"], kept["detail"], errors=errors)


def _answer(result: JobResult, sources: Mapping[int, Source]) -> KeptAnswer:
    """An answer with its sources as they are now."""
    record = result.record
    notes = tuple(Note(**each) for each in record["query"].get("notes", ()))  # older ones have none
    return Answer(
        QueryImage(**record["query"] | {"sha256": result.sha256 or "", "notes": notes}),
        _attribution(record["attribution"], sources),
        Timings(**record["timings"]),
        credentials=_credentials(record.get("credentials"), sources),  # older ones have none
    )


def _as_kept(attribution: Attribution) -> dict[str, Any]:
    """What is kept of an answer besides its sources: nothing that served to find it only."""
    kept = asdict(replace(attribution, sources=()))
    del kept["finest"]
    return kept


def _kept(said: Credentials) -> dict[str, Any]:
    """What is kept of a manifest: no picture, and of sources the vector id."""
    ingredients = [
        {
            "title": each.title,
            "relationship": each.relationship,
            "held": [{"source": held.source.vector_id, "by": held.by} for held in each.held],
        }
        for each in said.ingredients
    ]
    return asdict(replace(said, ingredients=())) | {"ingredients": ingredients}


def _named_in(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The sources that a manifest names."""
    said = record.get("credentials") or {"ingredients": ()}
    return [held for each in said["ingredients"] for held in each["held"]]


def _credentials(
    kept: Mapping[str, Any] | None, sources: Mapping[int, Source]
) -> Credentials | None:
    """What a manifest says, with those of the sources named that are held now."""
    if kept is None:
        return None
    ingredients = tuple(
        Ingredient(
            each["title"],
            each["relationship"],
            identifiers=(),
            digests=(),
            held=tuple(
                HeldIngredient(sources[held["source"]], held["by"])
                for held in each["held"]
                if held["source"] in sources
            ),
        )
        for each in kept["ingredients"]
    )
    return Credentials(
        **dict(kept) | {"problems": tuple(kept["problems"]), "ingredients": ingredients}
    )


def _showing(kept: Mapping[str, Any]) -> list[int]:
    """Vector ids of the sources that show a ranked picture, the best first."""
    return [kept["source"], *kept.get("copies", ())]  # older results name no copies


def _attribution(kept: Mapping[str, Any], sources: Mapping[int, Source]) -> Attribution:
    """An attribution without the sources that were deleted since.

    Where another source shows the same picture, it takes the place of the one that is gone. Shares
    of the others go to what is held by nobody, and the decision is by the smallest p-value left.
    Where none of those listed is left, it is not known who would have come next: no decision.
    """
    present = [
        (each, [sources[vector_id] for vector_id in _showing(each) if vector_id in sources])
        for each in kept["sources"]
    ]
    held = tuple(
        RankedSource(**each | {"source": shown[0], "copies": tuple(shown[1:])})
        for each, shown in present
        if shown
    )
    now: dict[str, Any] = {"calibration": CalibrationState(**kept["calibration"]), "sources": held}
    if kept.get("recall") is not None:  # older results know of none
        now["recall"] = PromisedRecall(**kept["recall"])
    lost = [each["share"] for each, shown in present if not shown]
    if lost:
        now["unattributed_share"] = kept["unattributed_share"] + sum(lost)
    if lost and kept["decision"] is not None:
        known = [each.p_value for each in held if each.p_value is not None]
        p_value = min(known, default=None)  # of a later one, where one above it explained it not
        now |= {"p_value": p_value, "decision": decision_of(p_value, kept["alpha"])}
    return Attribution(**{**kept, **now})
