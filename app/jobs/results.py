"""The results of a job as they are kept, and as lines of JSON when they are read.

What is kept of an answer names sources by their vector ids and says nothing else about them: the
catalog is asked when a result is read, so that what was deleted since is in no result.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.schemas.attribution import AttributionDocument
from app.schemas.documents import thumbnail_url
from attribution.answer import Attribution
from attribution.calibration.false_discovery import q_values
from attribution.catalog import Catalog, JobNotFound, JobResult, Source

_PAGE = 200
_Page = tuple[tuple[JobResult, ...], Mapping[int, Source]]
_OF_THE_SOURCE = {"source_id", "uri", "title", "creator", "licence", "thumbnail_url"}


def stored(document: AttributionDocument, attribution: Attribution) -> dict[str, Any]:
    """What is kept of an answer."""
    kept = document.model_dump(mode="json")
    kept["sources"] = [
        {name: value for name, value in shown.items() if name not in _OF_THE_SOURCE}
        | {"vector_id": ranked.source.vector_id}
        for shown, ranked in zip(kept["sources"], attribution.sources, strict=True)
    ]
    return {"attribution": kept}


def lines(
    catalog: Catalog, job_id: str, *, after: int, shown: Callable[[int], int], ended: bool
) -> Iterator[str]:
    """JSON Lines of the results that follow `after`, page by page; ends where there are no more.

    `shown` turns a generation of the catalog into that of the reader. Each line has its q-value
    among all images of the job once that has `ended`, whatever part of them is asked for.
    """
    found = _q_values(catalog, job_id) if ended else {}
    for page, sources in _pages(catalog, job_id, after):
        rows = (_line(result, sources, shown, found.get(result.sequence)) for result in page)
        yield "".join(json.dumps(row) + "\n" for row in rows)


def _pages(catalog: Catalog, job_id: str, after: int) -> Iterator[_Page]:
    """Results in order, with the sources that they name and that are still held."""
    while True:
        try:
            page = catalog.jobs.results(job_id, after=after, limit=_PAGE)
        except JobNotFound:  # purged while it was being read
            return
        if not page:
            return
        yield page, catalog.by_vector_ids(_vector_ids(page))
        after = page[-1].sequence


def _q_values(catalog: Catalog, job_id: str) -> dict[int, float]:
    """By `sequence`, of the answers that have a p-value now."""
    p_values = {
        result.sequence: p_value
        for page, sources in _pages(catalog, job_id, 0)
        for result in page
        if not result.failed
        and (p_value := _shown(result.document["attribution"], sources)["p_value"]) is not None
    }
    return dict(zip(p_values, q_values(list(p_values.values())).tolist(), strict=True))


def _vector_ids(page: tuple[JobResult, ...]) -> list[int]:
    return sorted(
        {
            source["vector_id"]
            for result in page
            for source in result.document.get("attribution", {}).get("sources", ())
        }
    )


def _line(
    result: JobResult,
    sources: Mapping[int, Source],
    shown: Callable[[int], int],
    q_value: float | None,
) -> dict[str, Any]:
    line: dict[str, Any] = {
        "sequence": result.sequence,
        "index": result.position,
        "filename": result.filename,
    }
    if result.failed:
        return line | dict(result.document)
    answer = _shown(result.document["attribution"], sources)
    answer["index_generation"] = shown(answer["index_generation"])
    return line | {"attribution": answer, "q_value": q_value}


def _shown(kept: Mapping[str, Any], sources: Mapping[int, Source]) -> dict[str, Any]:
    """An answer with its sources as they are now; those deleted since leave it.

    Their shares go to what is held by nobody, and the decision is that of the best source left.
    Where none of those listed is left, it is not known who would have come next: no decision.
    """
    held = [source for source in kept["sources"] if source["vector_id"] in sources]
    answer = dict(kept) | {
        "sources": [_source(source, sources[source["vector_id"]]) for source in held]
    }
    gone = [source for source in kept["sources"] if source["vector_id"] not in sources]
    if not gone:
        return answer
    answer["unattributed_share"] += sum(source["share"] for source in gone)
    if answer["decision"] is not None:
        p_value = held[0]["p_value"] if held else None
        answer["p_value"] = p_value
        answer["decision"] = _decision(p_value, answer["alpha"])
    return answer


def _decision(p_value: float | None, alpha: float) -> str | None:
    if p_value is None:
        return None
    return "attributed" if p_value <= alpha else "no_source_found"


def _source(kept: Mapping[str, Any], source: Source) -> dict[str, Any]:
    known = {
        "source_id": source.source_id,
        "uri": source.uri,
        "title": source.title,
        "creator": source.creator,
        "licence": source.licence,
        "thumbnail_url": thumbnail_url(source.source_id),
    }
    return {"rank": kept["rank"], **known, **{k: v for k, v in kept.items() if k != "vector_id"}}
