"""Makes a background of pictures: as they are, through the generator, and laundered.

Queries are not photographs: what a generator or a launderer does to a picture changes its scores,
so the null needs pictures that had it done to them. Knows no catalog and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attribution.synthesis.laundering import launder
from attribution.synthesis.patches import from_one
from models.background import GENERATED, LAUNDERED, PHOTO, Background, thumbnail
from models.encoder import Encoder

GENERATED_SIDE = 128
"""Long side of what is generated: the square that the encoder sees, and a second an image."""
STRATUM_SIZE = 1_500
_BLOCK = 64


class NoPictures(ValueError):
    """There is no picture to make a background of."""


@dataclass(frozen=True, slots=True)
class StrataSizes:
    """How many pictures pass through the generator and through laundering; 0 makes none."""

    generated: int = STRATUM_SIZE
    laundered: int = STRATUM_SIZE

    def __post_init__(self) -> None:
        if self.generated < 0 or self.laundered < 0:
            raise ValueError("a stratum cannot have fewer than 0 pictures")


@dataclass(frozen=True, slots=True)
class StratumPicture:
    """One picture of the background, its stratum, and the thumbnail of what it was made from."""

    picture: Image.Image
    stratum: int
    thumbnail: NDArray[np.uint8]


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

    About a second an image of `generated` on one core; photos and laundered ones take a forward
    pass each.

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
    waiting = in_strata(pictures, count, sizes=sizes or StrataSizes(), seed=seed)
    while block := list(islice(waiting, _BLOCK)):
        rows.append(encoder.encode([item.picture for item in block], domain="query"))
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


def in_strata(
    pictures: Iterable[Image.Image], count: int, *, sizes: StrataSizes, seed: int = 0
) -> Iterator[StratumPicture]:
    """Each picture as it is, followed by what is made of it.

    Pictures are drawn for the strata by their place, without replacement; one is drawn for both
    only where there are too few.
    """
    order = np.random.default_rng(seed).permutation(count)
    generated = set(order[: sizes.generated].tolist())
    laundered = set(order[max(0, count - sizes.laundered) :].tolist())
    for place, picture in enumerate(pictures):
        small = thumbnail(picture)
        yield StratumPicture(picture, PHOTO, small)
        if place in generated:
            made = from_one(picture, seed=_seed(seed, place, GENERATED), size=GENERATED_SIDE)
            yield StratumPicture(made, GENERATED, small)
        if place in laundered:
            made = launder(picture, seed=_seed(seed, place, LAUNDERED))
            yield StratumPicture(made, LAUNDERED, small)


def _seed(seed: int, place: int, stratum: int) -> int:
    """A seed for every picture and stratum, the same on every run."""
    return int(np.random.SeedSequence([seed, place, stratum]).generate_state(1)[0])
