"""Composites of images whose true regions are known, to judge region maps by. Knows no encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from attribution.synthesis.collage import collage
from attribution.synthesis.laundering import recompressed

Labels = NDArray[np.uint8]
_SIZE = 192
_SMALLEST, _LARGEST = 0.55, 0.8  # side of what is pasted, as a share of the frame's


@dataclass(frozen=True, slots=True, eq=False)
class Composite:
    """An image of two sources, and candidates to explain it by.

    Attributes:
        kind: of composite, a key of `KINDS`.
        image: RGB.
        labels: `(h, w)`, number from 1 of the candidate that each pixel is from; 0 where it is
            from an image that is no candidate.
        candidates: what the image may be explained by, its sources first.
        attributed: how many of the candidates are its sources.
        name: of the composite, unique; names its sources.
        sources: names of the two images that it was made of.
    """

    kind: str
    image: Image.Image
    labels: Labels
    candidates: tuple[Image.Image, ...]
    attributed: int
    name: str
    sources: tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    image: Image.Image
    labels: Labels
    held: int = 2


def make_composites(
    images: Sequence[tuple[str, Image.Image]],
    count: int,
    *,
    candidates: int = 5,
    seed: int = 0,
) -> list[Composite]:
    """As many composites of each kind, no two of them from the same image.

    Args:
        images: names and images; unseen in training, or figures flatter.
        count: composites of each kind.
        candidates: images that each is explained by: its sources and random other images.
        seed: the same seed and images give the same composites.

    Raises:
        ValueError: too few images.
    """
    needed = 2 * count * len(KINDS) + candidates
    if len(images) < needed:
        raise ValueError(f"{len(images)} images, but {needed} are needed: give more, or count less")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    pairs, spare = order[: 2 * count * len(KINDS)].reshape(-1, 2), order[-candidates:]
    made = []
    for number, pair in enumerate(pairs):
        kind = list(KINDS)[number // count]
        (first, a), (second, b) = (images[place] for place in pair)
        one = KINDS[kind](a, b, np.random.default_rng([seed, number]))
        shown = [a, b][: one.held] + [images[place][1] for place in spare]
        name = f"{kind}-{number % count}"
        made.append(
            Composite(
                kind, one.image, one.labels, tuple(shown[:candidates]), one.held, name,
                (first, second),
            )
        )  # fmt: skip
    return made


def _collage(a: Image.Image, b: Image.Image, rng: np.random.Generator) -> _Made:
    made = collage(a, b, mask_seed=int(rng.integers(2**31)), size=_SIZE)
    return _Made(made.image, np.where(made.mask, 1, 2).astype(np.uint8))


def _mirrored(a: Image.Image, b: Image.Image, rng: np.random.Generator) -> _Made:
    made = _collage(a, b, rng)
    labels = np.ascontiguousarray(made.labels[:, ::-1])
    return _Made(recompressed(ImageOps.mirror(made.image), 50), labels)


def _half_held(a: Image.Image, b: Image.Image, rng: np.random.Generator) -> _Made:
    made = _collage(a, b, rng)
    return _Made(made.image, np.where(made.labels == 1, 1, 0).astype(np.uint8), held=1)


def _moved(a: Image.Image, b: Image.Image, rng: np.random.Generator) -> _Made:
    """An ellipse out of `b`, made smaller, moved and perhaps mirrored, in the middle of `a`."""
    frame = ImageOps.contain(a.convert("RGB"), (_SIZE, _SIZE), Image.Resampling.LANCZOS)
    if max(frame.size) < _SIZE:
        scale = _SIZE / max(frame.size)
        frame = frame.resize((round(frame.width * scale), round(frame.height * scale)))
    share = rng.uniform(_SMALLEST, _LARGEST)
    width, height = (max(1, int(share * side)) for side in frame.size)
    piece = ImageOps.fit(b.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
    if rng.integers(2):
        piece = ImageOps.mirror(piece)
    left = int(rng.integers(frame.width - width + 1))
    top = int(rng.integers(frame.height - height + 1))
    y, x = np.mgrid[0:height, 0:width]
    ellipse = ((x + 0.5) / width - 0.5) ** 2 + ((y + 0.5) / height - 0.5) ** 2 < 0.25
    frame.paste(piece, (left, top), Image.fromarray(ellipse))
    labels = np.ones((frame.height, frame.width), np.uint8)
    labels[top : top + height, left : left + width][ellipse] = 2
    return _Made(recompressed(frame, 60), labels)


KINDS: Mapping[str, Callable[[Image.Image, Image.Image, np.random.Generator], _Made]] = {
    "collage": _collage,
    "half-held": _half_held,
    "mirrored": _mirrored,
    "moved": _moved,
}
"""Two images side by side under a mask; the same with only the first of them held; the first
mirrored and saved as JPEG 50; a piece of one moved into the other and saved as JPEG 60."""
