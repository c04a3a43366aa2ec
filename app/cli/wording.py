"""An answer in the words of the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from app.cli.console import note, warn

STILL_THERE = (
    "Let this user remove it, or be the user who may, and run `attribution compact`; a service on "
    "the folder tries again by itself. `attribution verify` tells as long as it is there."
)


def tell_wait(seconds: float) -> None:
    """That a service which runs has to do its part first."""
    note(f"waiting up to {seconds:.0f} s for the running service to write a clean index snapshot")


GIVES_ONE = (
    "`attribution calibrate --background FOLDER` gives it one, of images like those you ask about "
    "that have no source here"
)
"""What makes an encoder decide."""
UNLIKE_BACKGROUND = (
    "this image is unlike the background that p-values rest on, so they may not hold for it; "
    "`attribution calibrate --background FOLDER` adds images like it that have no source here"
)


class Decided(Protocol):
    """As much of an answer as its decision takes, whether it was found here or read."""

    @property
    def decision(self) -> str | None:
        """`attributed`, `no_source_found`, or None."""

    @property
    def reason(self) -> str | None:
        """`nothing-held`, `no-content`, or None."""

    @property
    def p_value(self) -> float | None:
        """Of the best source."""

    @property
    def alpha(self) -> float:
        """The rate accepted."""


class Named(Protocol):
    """As much of a source as its name takes."""

    @property
    def source_id(self) -> str:
        """Its id."""

    @property
    def title(self) -> str | None:
        """Its title."""

    @property
    def uri(self) -> str | None:
        """Where it is."""


def decision_in_words(answer: Decided) -> str:
    """What was decided, and by which comparison."""
    if answer.reason == "nothing-held":
        return "nothing to compare with: 0 sources can be found in what was searched"
    if answer.reason == "no-content":
        return "no source found: the image is of one colour, or nearly, with nothing to compare"
    if answer.decision is None:
        return f"ranked only: this encoder has no background, so nothing is decided. {GIVES_ONE}"
    decision = answer.decision.replace("_", " ")
    return f"{decision} (p = {_against(answer)}, alpha = {answer.alpha:g})"


def _against(answer: Decided) -> str:
    """The p-value in two digits, or as many as show on which side of alpha it lies."""
    value, alpha = answer.p_value, answer.alpha
    if value is None:
        return "none"
    texts = (f"{value:.{digits}g}" for digits in range(2, 18))
    return next(text for text in texts if (float(text) <= alpha) == (value <= alpha))


def warn_of_nothing_held(place: object, collections: Iterable[str]) -> None:
    """Tell on stderr where there is nothing to find: a data folder, or a service."""
    names = ", ".join(sorted(set(collections)))
    where = f"collection {names} of {place}" if names else str(place)
    warn(f"0 sources can be found in {where}: add some with `attribution ingest`")


def source_name(source: Named) -> str:
    """What a source is called in a list."""
    return source.title or source.uri or source.source_id
