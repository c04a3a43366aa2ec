"""False discoveries over the answers of one request; knows documents, no image."""

from __future__ import annotations

from collections.abc import Sequence

from app.schemas.attribution import AttributedItem, ProblemItem
from attribution.calibration.false_discovery import q_values


def with_q_values(
    items: Sequence[AttributedItem | ProblemItem],
) -> list[AttributedItem | ProblemItem]:
    """The same items, each with its q-value among those that have a p-value."""
    p_value_at = {
        place: item.attribution.p_value
        for place, item in enumerate(items)
        if isinstance(item, AttributedItem) and item.attribution.p_value is not None
    }
    found = q_values(list(p_value_at.values())).tolist()
    q_value_at = dict(zip(p_value_at, found, strict=True))
    return [
        item.model_copy(update={"q_value": q_value_at[place]}) if place in q_value_at else item
        for place, item in enumerate(items)
    ]
