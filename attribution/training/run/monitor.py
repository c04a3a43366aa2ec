"""What a run has learnt, measured on images that it never sees; knows no loss and no labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from attribution.measures import average_precision, hit_at, truth_ranks
from attribution.training.data.images import ImageSet
from attribution.training.data.mixing import mix
from attribution.training.data.views import MILD, STRONG, make_view
from attribution.training.losses.information import log_determinant
from attribution.training.run.spread import alignment, effective_rank, uniformity
from models.backbones.features import Backbone
from models.images.preprocessing import Preprocessing

BATCH = 128
FEWEST = 8
"""Held-out images below which nothing measured on them would mean much."""
LARGEST_SHARE = 10
"""One image in so many is held out at most."""


@dataclass(frozen=True, slots=True)
class HeldOutMetrics:
    """Metrics of the pooled features, unless said otherwise, on held-out images."""

    alignment: float
    """Mean squared distance of a mild and a strong view; 0 is perfect."""
    uniformity: float
    """Smaller is more even; about -4 is as even as can be."""
    effective_rank: float
    log_determinant: float
    """Of the covariance, per dimension; 0 is isotropic, less is less spread."""
    mean_average_precision: float
    """Of synthetic images that mix two held-out ones, both to be found among all held-out images
    by the cosine of the learnt descriptor, without a head."""
    hit_at_1: float
    """Share of those synthetic images that have one of their two sources at rank 1."""


def split(images: ImageSet, held_out: int) -> tuple[ImageSet, ImageSet | None]:
    """The images to train on, and the last ones, held out; both share the memory of `images`.

    At most a tenth is held out, and nothing where that leaves too few to measure on.
    """
    count = min(held_out, len(images) // LARGEST_SHARE)
    if count < FEWEST:
        return images, None
    return (
        ImageSet(images.pixels[:-count], images.names[:-count]),
        ImageSet(images.pixels[-count:], images.names[-count:]),
    )


class Monitor:
    """Measures a network on held-out images, always on the same views of them.

    Args:
        images: the held-out images.
        size: side of a view in pixels; one for the whole run, so that steps compare.
        device: of the network.
        seed: of the views.
        shape: as which the network sees images.
        frozen: first blocks that do not change; what they make of the views is kept in memory.
    """

    def __init__(
        self,
        images: ImageSet,
        size: int,
        device: str,
        seed: int,
        shape: Preprocessing,
        *,
        frozen: int = 0,
    ) -> None:
        self._images, self._size, self._device, self._seed = images, size, device, seed
        self._shape, self._frozen = shape, frozen
        self._begun: list[Tensor] = []
        parts = math.ceil(len(images) / BATCH)
        self._batches = torch.tensor_split(torch.arange(len(images)), parts)
        # Each image is mixed with the next of its batch.
        partners = torch.cat([torch.roll(rows, -1) for rows in self._batches])
        self._sources = torch.stack([torch.arange(len(images)), partners], dim=1)

    def __len__(self) -> int:
        return len(self._images)

    @torch.inference_mode()
    def measure(self, net: Backbone) -> HeldOutMetrics:
        """Metrics of a network, which is put into evaluation mode."""
        net.eval()
        described = [pooled.chunk(4) for pooled in self._described(net)]
        whole, mixed, mild, strong = (torch.cat(rows) for rows in zip(*described, strict=True))
        pooled = net.projections["semantics"]
        mild, strong = (functional.normalize(rows[:, pooled], dim=1) for rows in (mild, strong))
        precision, hit = rank_sources(mixed, whole, self._sources)
        return HeldOutMetrics(
            alignment(mild, strong),
            uniformity(mild),
            effective_rank(mild),
            -float(log_determinant(mild)),
            precision,
            hit,
        )

    def _described(self, net: Backbone) -> Iterator[Tensor]:
        """Learnt descriptors, batch by batch, of the groups that `_views` gives."""
        if not self._frozen:
            yield from (net.learnt(views).pooled for views in self._views())
            return
        self._begun = self._begun or [net.begun(each, self._frozen) for each in self._views()]
        yield from (net.finished_pooled(each, self._frozen) for each in self._begun)

    def _views(self) -> Iterator[Tensor]:
        """Of each batch: images, mixtures, mild views, strong views, as a network sees them."""
        generator = torch.Generator(self._device).manual_seed(self._seed)
        size = self._size
        for rows in self._batches:
            images = self._images.batch(rows, self._device)
            whole = functional.interpolate(images, size=size, mode="bilinear", antialias=True)
            groups = [
                whole,
                mix(whole, torch.roll(whole, -1, dims=0), generator),
                make_view(images, size, MILD, generator),
                make_view(images, size, STRONG, generator),
            ]
            scaled = self._shape.scaled(torch.cat(groups))
            yield scaled.to(memory_format=torch.channels_last)


def rank_sources(queries: Tensor, gallery: Tensor, sources: Tensor) -> tuple[float, float]:
    """Mean average precision and hit@1 of a search by cosine.

    Args:
        queries: `(q, d)`.
        gallery: `(n, d)`.
        sources: `(q, s)` rows of the gallery that a query must find.
    """
    cosines = functional.normalize(queries, dim=1) @ functional.normalize(gallery, dim=1).T
    scores: NDArray[np.float32] = cosines.float().cpu().numpy()
    ranks = [truth_ranks(row, wanted) for row, wanted in zip(scores, sources.tolist(), strict=True)]
    precision = sum(average_precision(each) for each in ranks) / len(ranks)
    return precision, sum(hit_at(each, 1) for each in ranks) / len(ranks)
