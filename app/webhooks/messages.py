"""What is told: from an answer to what is kept of it, and from that to the body that is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.answers import FreshAnswer
from attribution.catalog import Catalog, Message, NewMessage, Source


def attributed(
    answer: FreshAnswer, within: frozenset[str] | None, message_id: str | None = None
) -> NewMessage | None:
    """What there is to tell of an answer; None where no source is attributed.

    Args:
        answer: of a query.
        within: the collections that are told of; None for all.
        message_id: of something that may be told twice.
    """
    found = answer.attribution
    sources = [
        {
            "source": ranked.source.vector_id,
            "rank": ranked.rank,
            "p_value": ranked.p_value,
            "share": ranked.share,
            "match": ranked.match,
        }
        for ranked in found.sources
        if ranked.attributed and (within is None or ranked.source.collection in within)
    ]
    if found.decision != "attributed" or not sources:
        return None
    record = {
        "query": {"sha256": answer.query.sha256},
        "model_id": found.model_id,
        "p_value": found.p_value,
        "alpha": found.alpha,
        "guarantee": found.guarantee,
        "sources": sources,
    }
    more = {} if message_id is None else {"message_id": message_id}
    return NewMessage("source.attributed", record, **more)


def body_of(catalog: Catalog, message: Message) -> bytes | None:
    """The JSON to send, with sources as they are now; None where none of them is left."""
    data = dict(message.record)
    if message.kind == "source.attributed":
        named = data["sources"]
        held = catalog.by_vector_ids([each["source"] for each in named])
        data["sources"] = [
            {**_source(held[each["source"]]), **_figures(each)}
            for each in named
            if each["source"] in held
        ]
        if not data["sources"]:
            return None
    whole = {"type": message.kind, "timestamp": message.created_at.isoformat(), "data": data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def _source(source: Source) -> dict[str, Any]:
    return {
        name: getattr(source, name)
        for name in ("source_id", "collection", "sha256", "uri", "title", "creator", "licence")
    }


def _figures(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if name != "source"}
