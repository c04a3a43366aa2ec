"""All contexts of a few-shot set, from which those of its synthetic images are drawn.

The paper ("Beyond Objects", arXiv 2510.24078) asks for `P(X | do(Y)) = sum_Z P(X | Y, Z) P(Z)`:
class and context, which go together in few real pictures, are made independent by drawing the
context of every synthetic image from the whole set.
"""

from __future__ import annotations

import hashlib
import json
import random
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np

from attribution.synthesis.context.captioner import Context, Described

LARGEST_SEED = 2**62
"""Of the noise of an image."""
Source = Literal["dataset", "same-class", "list", "none"]
SOURCES: tuple[Source, ...] = ("dataset", "same-class", "list", "none")


class EmptyBank(ValueError):
    """There is nothing to draw from; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A context for one synthetic image.

    Attributes:
        context: None where images are to have none.
        image: the picture whose context it is; None where it comes from a list.
        class_name: of that picture; None likewise.
    """

    context: Context | None
    image: str | None = None
    class_name: str | None = None


@dataclass(frozen=True, slots=True)
class ContextBank:
    """The described pictures of a few-shot set, and a list of free contexts if there is one."""

    described: tuple[Described, ...]
    listed: tuple[Context, ...] = ()

    def __post_init__(self) -> None:
        if not self.described:
            raise EmptyBank("a context bank needs described pictures, and there is none")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of all classes, sorted."""
        return tuple(sorted({row.class_name for row in self.described}))

    def of_class(self, name: str) -> tuple[Described, ...]:
        """The pictures of a class, in the order of the bank."""
        return tuple(row for row in self.described if row.class_name == name)

    @property
    def digest(self) -> str:
        """Hex sha256 of all that can be drawn, in its order."""
        rows = [[astuple(row) for row in self.described], [astuple(row) for row in self.listed]]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def draw_contexts(
    bank: ContextBank,
    class_name: str,
    count: int,
    *,
    source: Source = "dataset",
    seed: int = 0,
    same_draws: bool = False,
) -> list[Drawn]:
    """The contexts of `count` synthetic images of a class.

    A picture is drawn uniformly, with replacement, and gives its background *and* its pose: pairs
    that no picture has are not made.

    Args:
        bank: what is drawn from.
        class_name: of the subject; no draw from `dataset` or `list` depends on it but by chance.
        count: how many.
        source: `dataset`, the whole set (the paper's); `same-class`, pictures of the class alone;
            `list`, the free list; `none`, no context.
        seed: of the draws.
        same_draws: every class gets the same contexts in the same order, and with `dataset` those
            that the authors' program draws with this seed; otherwise each class has draws of its
            own, which do not change when other classes are added.

    Raises:
        EmptyBank: nothing to draw from.
    """
    if source == "none":
        return [Drawn(None)] * count
    pool = _pool(bank, class_name, source)
    if same_draws:
        # Their program seeds Python's generator anew for every class.
        stream = random.Random(seed)  # noqa: S311  # a published sequence, no secret
        return [pool[stream.randint(0, len(pool) - 1)] for _ in range(count)]
    places = generator_of(seed, class_name, "context").integers(len(pool), size=count)
    return [pool[place] for place in places.tolist()]


def generator_of(seed: int, *words: str) -> np.random.Generator:
    """Random numbers that belong to these words: each set of words has a stream of its own."""
    marks = [zlib.crc32(word.encode()) for word in words]
    return np.random.default_rng(np.random.SeedSequence([seed, *marks]))


def _pool(bank: ContextBank, class_name: str, source: Source) -> Sequence[Drawn]:
    if source == "list":
        pool = [Drawn(context) for context in bank.listed]
    else:
        rows = bank.described if source == "dataset" else bank.of_class(class_name)
        pool = [Drawn(row.context, row.image, row.class_name) for row in rows]
    if not pool:
        missing = (
            "a list of contexts" if source == "list" else f"described pictures of {class_name}"
        )
        raise EmptyBank(f"contexts from `{source}` need {missing}, and there is none")
    return pool
