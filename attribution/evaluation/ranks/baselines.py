"""The methods every encoder is compared with, by name; what supervision learns is elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional

from attribution.evaluation.ranks.methods import (
    BATCH,
    Describer,
    Method,
    OfGallery,
    PooledDescriber,
    Rows,
    pooled,
)
from attribution.evaluation.ranks.supervised import SupervisedScorer
from attribution.training.data.views import mild_or_strong
from models.encoder import Encoder
from models.heads import AffineMap, Head, HeadPart, Moments, cca, whiten

NAMES = (
    "colour-histogram",
    "hog",
    "hog-whiten",
    "raw-backbone",
    "whiten",
    "cca",
    "supervised",
)
FITTED = frozenset({"hog-whiten", "whiten", "cca"})
"""Baselines that need images to be fitted on."""
COMPONENTS = 512
COLOUR_BINS = 64
HOG_SIDE, HOG_COLUMNS = 128, 1764


class UnfitBaseline(ValueError):
    """A baseline lacks the images that it is fitted on; says what to give."""


def make(name: str, *, encoder: Encoder, fit: Iterable[Image.Image] | None) -> Method:
    """One baseline, fitted and ready.

    Args:
        name: one of `NAMES`. `raw-backbone`, `whiten`, `cca` and `supervised` compare the
            encoder's pooled descriptor and share its rows.
        encoder: whose backbone describes images; its head is not used.
        fit: unlabelled images outside the gallery, read once for each baseline in `FITTED`, so
            give a list or another iterable that can be read again.

    Raises:
        ValueError: unknown name.
        UnfitBaseline: a baseline is to be fitted, and there are fewer than two images.
        ModuleNotFoundError: `hog` without the extra `synthesis`.
    """
    if name not in NAMES:
        raise ValueError(f"unknown baseline {name!r}: choose from {', '.join(NAMES)}")
    if name == "colour-histogram":
        return Method(name, COLOUR_HISTOGRAM, HeadScorer(Head(COLOUR_BINS)))
    if name in {"hog", "hog-whiten"}:
        hog = hog_describer()
        fitted = _fit_whiten(hog, HOG_COLUMNS, _given(name, fit)) if name in FITTED else None
        return Method(name, hog, HeadScorer(_head(HOG_COLUMNS, fitted)))
    describer = PooledDescriber(encoder)
    if name == "supervised":
        return Method(name, describer, SupervisedScorer(), blockwise=False)
    dimension, fitted = encoder.backbone.dimension, None
    if name == "whiten":
        fitted = _fit_whiten(describer, dimension, _given(name, fit))
    elif name == "cca":
        fitted = _fit_cca(encoder, _given(name, fit))
    return Method(name, describer, HeadScorer(_head(dimension, fitted)))


@dataclass(frozen=True, slots=True)
class ImageDescriber:
    """A describer made of a function of one RGB image that returns `(columns,)` float32."""

    name: str
    columns: int
    describe: Callable[[Image.Image], Rows]

    def __call__(self, images: Iterable[Image.Image]) -> Rows:
        """`(n, columns)`."""
        rows = [self.describe(image) for image in images]
        return np.stack(rows) if rows else np.zeros((0, self.columns), np.float32)


class HeadScorer:
    """Cosine under a head of one part, the same for queries and sources."""

    def __init__(self, head: Head) -> None:
        self._head = head.eval()
        self._sources = OfGallery(self._under_head)

    def __call__(self, queries: Rows, gallery: Rows, truth: Sequence[tuple[int, ...]]) -> Rows:
        """See `Scorer`; `truth` is not looked at."""
        del truth
        scores: Rows = self._under_head(queries) @ self._sources(gallery).T
        return scores

    def _under_head(self, descriptors: Rows) -> Rows:
        with torch.inference_mode():
            blocks = torch.split(torch.from_numpy(descriptors), 4096)
            return np.concatenate([self._head(block).numpy() for block in blocks])


def colour_histogram(image: Image.Image) -> Rows:
    """Square roots of the shares of 4 x 4 x 4 RGB bins: their product is Hellinger's affinity."""
    levels = np.asarray(image.convert("RGB")).reshape(-1, 3) >> 6
    bins = levels @ np.array([16, 4, 1], np.uint8)
    shares = np.bincount(bins, minlength=COLOUR_BINS) / len(bins)
    return np.sqrt(shares).astype(np.float32)


COLOUR_HISTOGRAM = ImageDescriber("colour histogram, 4x4x4 RGB", COLOUR_BINS, colour_histogram)


def hog_describer() -> ImageDescriber:
    """Histograms of oriented gradients (Dalal and Triggs, CVPR 2005) of the squashed image.

    128 x 128 grey pixels, cells of 16, blocks of 2 x 2 cells, 9 orientations, L2-Hys.

    Raises:
        ModuleNotFoundError: scikit-image is not installed.
    """
    try:
        from skimage.feature import hog  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'the hog baselines need scikit-image; run: pip install "attribution[synthesis]"',
            name=error.name,
        ) from error

    def describe(image: Image.Image) -> Rows:
        grey = image.convert("L").resize((HOG_SIDE, HOG_SIDE), Image.Resampling.BICUBIC)
        row: Rows = hog(
            np.asarray(grey, np.float32) / 255,
            orientations=9,
            pixels_per_cell=(16, 16),
            cells_per_block=(2, 2),
            block_norm="L2-Hys",
        ).astype(np.float32)
        return row

    return ImageDescriber("HOG at 128 pixels", HOG_COLUMNS, describe)


def _given(name: str, fit: Iterable[Image.Image] | None) -> Iterable[Image.Image]:
    if fit is None:
        raise UnfitBaseline(
            f"the baseline {name!r} is fitted on unlabelled images: give some outside the gallery"
        )
    return fit


def _head(dimension: int, fitted: AffineMap | None) -> Head:
    return Head(dimension, [] if fitted is None else [HeadPart("whole", fitted)])


def _fit_whiten(describer: Describer, dimension: int, fit: Iterable[Image.Image]) -> AffineMap:
    moments = Moments(dimension)
    for block in _blocks(fit):
        rows = torch.from_numpy(describer(block))
        moments.add(rows, rows)
    return whiten(moments, components=_components(moments))


def _fit_cca(encoder: Encoder, fit: Iterable[Image.Image]) -> AffineMap:
    """On an image and a view of it, half of the views mild and half degraded, as heads are."""
    moments = Moments(encoder.backbone.dimension)
    generator = torch.Generator().manual_seed(0)
    for block in _blocks(fit):
        batch = torch.stack([encoder.preprocess(image) for image in block])
        views = _views(batch, encoder, generator)
        moments.add(pooled(encoder, batch), pooled(encoder, views))
    return cca(moments, components=_components(moments))


def _views(batch: Tensor, encoder: Encoder, generator: Generator) -> Tensor:
    """A random view of each preprocessed image, preprocessed too."""
    shape = encoder.card.preprocessing
    mean, std = (batch.new_tensor(each)[:, None, None] for each in (shape.mean, shape.std))
    pixels = (batch * std + mean).clamp(0, 1)
    side = 8 * math.ceil(max(shape.height, shape.width) / 8)  # views are coded in blocks of 8
    views = mild_or_strong(pixels, side, generator)
    if views.shape[2:] != batch.shape[2:]:
        views = functional.interpolate(views, size=batch.shape[2:], mode="bilinear", antialias=True)
    return (views - mean) / std


def _blocks(fit: Iterable[Image.Image]) -> Iterator[list[Image.Image]]:
    """Batches of two images at least: views are drawn in halves of a batch."""
    waiting = iter(fit)
    while len(block := list(islice(waiting, BATCH))) > 1:
        yield block


def _components(moments: Moments) -> int:
    images = moments.count // 2
    if images < 2:
        raise UnfitBaseline(
            "no images to fit a baseline on: give two at least, and a list rather than a "
            "generator, which the first baseline would use up"
        )
    return min(COMPONENTS, moments.dimension, images - 1)
