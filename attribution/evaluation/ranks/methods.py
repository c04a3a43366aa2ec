"""A method: how images are described and how descriptors are compared. Knows no benchmark."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from attribution.retrieval.fusion import fusion_of
from models.encoder import Encoder
from models.heads.affine import Domain

Rows = NDArray[np.float32]
BATCH = 64
Made = TypeVar("Made")


class Describer(Protocol):
    """Images to descriptors; two describers of one name give the same rows."""

    @property
    def name(self) -> str:
        """What it is, precisely enough to share its rows between methods."""

    def __call__(self, images: Iterable[Image.Image]) -> Rows:
        """Any number of RGB images to `(n, d)` rows; reads the images one by one."""


class Scorer(Protocol):
    """Descriptors to scores."""

    def __call__(self, queries: Rows, gallery: Rows, truth: Sequence[tuple[int, ...]]) -> Rows:
        """Score every query with every gallery row.

        Args:
            queries: `(n, d)`.
            gallery: `(m, d)`; the same array at every call of a run.
            truth: columns of each query's true sources, for scorers that learn from labels by
                cross-validation; every other scorer must not look at it.

        Returns:
            `(n, m)` finite scores; larger is closer.
        """


@dataclass(frozen=True, slots=True)
class Method:
    """A describer and a scorer under a name.

    Methods whose describers share a name share its rows: images are described once a run.

    Attributes:
        name: of the row in the table.
        describer: images to rows.
        scorer: rows to scores.
        mirrored: a score is the larger one of the query's and its mirror image's.
        framed: a query is ranked by the picture that it frames, where there is one of which the
            best score is larger.
        blockwise: scores of a query do not depend on the other queries, so that they may be
            computed for a few queries at a time. A cross-validated scorer sets it to False and
            then sees all queries at once.
    """

    name: str
    describer: Describer
    scorer: Scorer
    mirrored: bool = False
    framed: bool = False
    blockwise: bool = True


@dataclass(frozen=True, slots=True)
class PooledDescriber:
    """An encoder's pooled descriptor before any head, so that heads can be compared on it."""

    encoder: Encoder

    @property
    def name(self) -> str:
        """Tells encoders apart by their weights, not by what they are called."""
        return f"pooled {self.encoder.model_id}"

    def __call__(self, images: Iterable[Image.Image]) -> Rows:
        """`(n, d)` descriptors, not normalised."""
        encoder, waiting = self.encoder, iter(images)
        rows: list[Rows] = [np.zeros((0, encoder.backbone.dimension), np.float32)]
        while block := list(islice(waiting, BATCH)):
            batch = torch.stack([encoder.preprocess(image) for image in block])
            rows.append(pooled(encoder, batch).numpy())
        return np.concatenate(rows)


@torch.inference_mode()
def pooled(encoder: Encoder, batch: Tensor) -> Tensor:
    """`(n, d)` descriptors of preprocessed images, on the CPU."""
    images = batch.to(encoder.device, memory_format=torch.channels_last)
    descriptors: Tensor = encoder.backbone(images).pooled
    return descriptors.float().cpu()


class OfGallery(Generic[Made]):
    """What is made of a gallery, kept from call to call: one is scored with many blocks of queries.

    The gallery itself is not kept alive.
    """

    def __init__(self, make: Callable[[Rows], Made]) -> None:
        self._make = make
        self._last: tuple[weakref.ref[Rows], Made] | None = None

    def __call__(self, gallery: Rows) -> Made:
        """What was made of this very array."""
        if self._last is None or self._last[0]() is not gallery:
            self._last = weakref.ref(gallery), self._make(gallery)
        return self._last[1]


class FusedScorer:
    """Scores as the service gives them: the encoder's head, then the fusion of its parts.

    One view of a query at a time: `Method.mirrored` takes the larger of two.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._fusion = fusion_of(encoder, views=1)
        self._sources = OfGallery(lambda gallery: under_head(encoder, gallery, "source"))

    def __call__(self, queries: Rows, gallery: Rows, truth: Sequence[tuple[int, ...]]) -> Rows:
        """See `Scorer`; `truth` is not looked at."""
        del truth
        sources = self._sources(gallery)
        return self._fusion.scores(under_head(self._encoder, queries, "query"), sources)


def under_head(encoder: Encoder, descriptors: Rows, domain: Domain) -> Rows:
    """`(n, d)` pooled descriptors to the `(n, dimension)` rows that the encoder emits."""
    with torch.inference_mode():
        blocks = [
            encoder.head(block.to(encoder.device), domain).float().cpu().numpy()
            for block in torch.split(torch.from_numpy(descriptors), 4096)
        ]
    return np.concatenate(blocks)


def encoder_method(encoder: Encoder, *, mirrored: bool = False) -> Method:
    """The encoder as shipped, and as the service looks at a query: `attribution.looks`.

    Mirrored queries too if asked, or if its card says so.
    """
    both = mirrored or encoder.views > 1
    name = encoder.card.name + (", mirrored" if mirrored else "")
    describer, scorer = PooledDescriber(encoder), FusedScorer(encoder)
    return Method(name, describer, scorer, mirrored=both, framed=True)
