"""An answer in the words of the terminal."""

from __future__ import annotations

from attribution.answer import Attribution
from attribution.catalog import Source

STILL_THERE = (
    "Let this user remove it, or be the user who may, and run `attribution compact`; a service on "
    "the folder tries again by itself. `attribution verify` tells as long as it is there."
)


def decision_in_words(answer: Attribution) -> str:
    """What was decided, and by which comparison."""
    if answer.decision is None:
        return "ranked only: this encoder has no background, so nothing is decided"
    decision = answer.decision.replace("_", " ")
    return f"{decision} (p = {answer.p_value:.2g}, alpha = {answer.alpha:g})"


def source_name(source: Source) -> str:
    """What a source is called in a list."""
    return source.title or source.uri or source.source_id
