"""What is evaluated: queries, their true sources and the gallery. Knows no method, no format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from attribution.files import regular_file
from models.images.decoding import decode
from models.images.errors import ImageError


class BadBenchmark(ValueError):
    """A benchmark cannot be read, or cannot answer what is asked; says where and what to do."""


@dataclass(frozen=True, slots=True)
class Truth:
    """A true source of a query.

    Attributes:
        key: of the source in the gallery.
        role: what the query took from it: "structure", "appearance", "content", "style",
            "exemplar" or nothing.
    """

    key: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One query and what is true of it.

    Attributes:
        query: the image file, or the image of the gallery that is asked about.
        truths: its sources; without any, the case is kept but not ranked.
        set: figures are averaged within sets, then over them.
        method: what made the query; empty when unknown.
        gallery: name of the case's own exemplars in `Benchmark.groups`; None where there are none.
        excluded: gallery keys that must not be ranked for this case (leave-one-out: itself).
        number: seeds what is done to the query; None: its position among the cases.
    """

    query: Path | Picture
    truths: tuple[Truth, ...]
    set: str
    method: str = ""
    gallery: str | None = None
    excluded: frozenset[str] = frozenset()
    number: int | None = None

    @property
    def picture(self) -> Picture:
        """The query, to be read."""
        return (
            file_picture(str(self.query), self.query)
            if isinstance(self.query, Path)
            else self.query
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of the gallery, read when asked for.

    Attributes:
        key: unique in the gallery.
        place: where it lies, for messages.
        read: the bytes of its file.
    """

    key: str
    place: str
    read: Callable[[], bytes]

    def load(self) -> Image.Image:
        """Upright RGB, decoded as the service decodes a query.

        Raises:
            BadBenchmark: no such file, or not an image that can be read.
        """
        try:
            return decode(self.read()).image
        except FileNotFoundError as error:
            raise BadBenchmark(f"{self.place}: no such image") from error
        except OSError as error:
            reason = f"cannot be read ({error.strerror or error})"
            raise BadBenchmark(f"{self.place}: {reason}") from error
        except ImageError as error:
            raise BadBenchmark(f"{self.place}: {error}") from error


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Cases and the gallery in which their sources are looked for.

    Attributes:
        name: of the data.
        cases: in the order of the data.
        sources: every true source of every case, each once.
        distractors: images that are the source of no case.
        groups: exemplar group -> gallery keys, for the protocol of own exemplars.
        cut: average precision counts ranks up to this; None: the full ranking.
        alike: the sources of a case are pictures of one thing, any of which may be missing.
    """

    name: str
    cases: tuple[Case, ...]
    sources: tuple[Picture, ...]
    distractors: tuple[Picture, ...] = ()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    cut: int | None = None
    alike: bool = False

    @property
    def ranked(self) -> tuple[Case, ...]:
        """The cases that have true sources, in order; a case's position here is its number."""
        return tuple(case for case in self.cases if case.truths)

    @property
    def gallery(self) -> tuple[Picture, ...]:
        """Sources, then distractors: the order of a gallery's rows."""
        return self.sources + self.distractors


def file_picture(key: str, path: Path) -> Picture:
    """A gallery image that is a file of its own."""
    return Picture(key, str(path), lambda: regular_file(path).read_bytes())


def unreadable_picture(key: str, place: str, reason: str) -> Picture:
    """What is known not to be readable, such as a folder that is closed; says so when loaded."""

    def refuse() -> bytes:
        raise BadBenchmark(f"{place}: {reason}")

    return Picture(key, place, refuse)
