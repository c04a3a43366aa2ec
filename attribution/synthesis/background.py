"""Makes a background of pictures: as they are, through the generator, and laundered.

Queries are not photographs: what a generator or a launderer does to a picture changes its scores,
so the null needs pictures that had it done to them. Knows no catalog and no file.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attribution.synthesis.laundering import launder
from attribution.synthesis.patches import from_one
from models.background import GENERATED, LAUNDERED, PHOTO, Background, thumbnail
from models.encoder import Encoder
from models.processor import size_pools

GENERATED_SIDE = 112
"""Long side of what is generated; a little more, and it would take several times as long."""
GENERATED_IMAGES, LAUNDERED_IMAGES = 600, 1_000
"""Enough for an alpha of 0.01 by a wide margin, since no p-value is below `1 / (n + 1)`."""
_BLOCK = 64
_START_METHOD = "spawn"


class NoPictures(ValueError):
    """There is no picture to make a background of."""


@dataclass(frozen=True, slots=True)
class StrataSizes:
    """How many pictures pass through the generator and through laundering; 0 makes none."""

    generated: int = GENERATED_IMAGES
    laundered: int = LAUNDERED_IMAGES

    def __post_init__(self) -> None:
        if self.generated < 0 or self.laundered < 0:
            raise ValueError("a stratum cannot have fewer than 0 pictures")


@dataclass(frozen=True, slots=True)
class Planned:
    """One row of a background before its picture is made.

    Attributes:
        original: the background picture.
        stratum: what becomes of it.
        thumbnail: of the original.
        seed: of whatever is drawn.
    """

    original: Image.Image
    stratum: int
    thumbnail: NDArray[np.uint8]
    seed: int


def make_background(
    encoder: Encoder,
    pictures: Iterable[Image.Image],
    count: int,
    *,
    sizes: StrataSizes | None = None,
    seed: int = 0,
    on_picture: Callable[[int], None] | None = None,
) -> Background:
    """Embed pictures that have no source in any gallery, in their three strata.

    A generated picture takes a second or two of one core; photos and laundered ones little more
    than a forward pass. Where there are enough to generate, each core makes its share of them.

    Args:
        encoder: what queries will be embedded with.
        pictures: read once, in order, never all at once.
        count: how many they are about to be; `expected` says how many rows that makes.
        sizes: of the strata; each is made of distinct pictures, as many as there are.
        seed: of everything drawn.
        on_picture: called with the number of rows made so far.

    Raises:
        NoPictures: there is none.
    """
    rows: list[NDArray[np.float32]] = []
    thumbnails: list[NDArray[np.uint8]] = []
    strata: list[int] = []
    sizes = sizes or StrataSizes()
    workers = (os.cpu_count() or 1) if min(count, sizes.generated) > _BLOCK else 0
    waiting = planned(pictures, count, sizes=sizes, seed=seed)
    with making(workers) as make_all:
        while block := list(islice(waiting, _BLOCK)):
            rows.append(encoder.encode(make_all(block), domain="query"))
            thumbnails += [item.thumbnail for item in block]
            strata += [item.stratum for item in block]
            if on_picture is not None:
                on_picture(len(strata))
    if not rows:
        raise NoPictures("no background picture could be read")
    order = np.argsort(strata, kind="stable")
    return Background(
        encoder.model_id,
        np.concatenate(rows)[order],
        np.stack(thumbnails)[order],
        np.array(strata, np.uint8)[order],
    )


def expected(count: int, sizes: StrataSizes) -> int:
    """Rows that `count` pictures make."""
    return count + min(count, sizes.generated) + min(count, sizes.laundered)


def planned(
    pictures: Iterable[Image.Image], count: int, *, sizes: StrataSizes, seed: int = 0
) -> Iterator[Planned]:
    """Each picture as it is, followed by what is to be made of it.

    Pictures are drawn for the strata by their place, without replacement; one is drawn for both
    only where there are too few.
    """
    order = np.random.default_rng(seed).permutation(count)
    drawn = {
        GENERATED: set(order[: sizes.generated].tolist()),
        LAUNDERED: set(order[max(0, count - sizes.laundered) :].tolist()),
    }
    for place, picture in enumerate(pictures):
        small = thumbnail(picture)
        yield Planned(picture, PHOTO, small, 0)
        for stratum, places in drawn.items():
            if place in places:
                own = np.random.SeedSequence([seed, place, stratum]).generate_state(1)[0]
                yield Planned(picture, stratum, small, int(own))


def made(item: Planned) -> Image.Image:
    """The picture of one row."""
    if item.stratum == GENERATED:
        return from_one(item.original, seed=item.seed, size=GENERATED_SIDE)
    if item.stratum == LAUNDERED:
        return launder(item.original, seed=item.seed)
    return item.original


@contextmanager
def making(workers: int) -> Iterator[Callable[[Sequence[Planned]], list[Image.Image]]]:
    """`made` of many, in order; in processes of one thread each, or here."""
    if workers < 1:
        yield lambda items: [made(item) for item in items]
        return
    context = multiprocessing.get_context(_START_METHOD)
    with ProcessPoolExecutor(workers, context, initializer=size_pools, initargs=(1,)) as pool:
        yield lambda items: list(pool.map(made, items))
