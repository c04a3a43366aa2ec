"""Runs the encoder on one batch, and knows whether the encoder works; knows no queue."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from app.inference.activities import Activities
from models.heads.affine import Domain

logger = logging.getLogger(__name__)


class InferenceError(RuntimeError):
    """The encoder raised, or returned numbers that are not finite, for this image."""


class Embeds(Protocol):
    """The forward passes of an encoder."""

    def embed(self, batch: torch.Tensor, *, domain: Domain) -> NDArray[np.float32]:
        """(n, 3, height, width) -> (n, columns) float32; a query may have more than a source."""

    def embed_patches(self, batch: torch.Tensor) -> NDArray[np.float32]:
        """(n, 3, height, width) -> (n, h, w, columns) float32."""


class ForwardPass:
    """The encoder as one thread runs it.

    An image that fails says nothing about the encoder: it may be the image. So after one has, an
    image of noise is encoded. If that fails too, it is the encoder.
    """

    def __init__(self, encoder: Embeds, activities: Activities) -> None:
        self._encoder = encoder
        self._activities = activities
        self.failing = False
        """Whether the encoder failed on everything when it was last tried."""
        self._tried: tuple[tuple[int, ...], Domain | None] | None = None

    def run(self, images: Sequence[torch.Tensor], domain: Domain | None) -> NDArray[np.float32]:
        """(n, columns) rows of n images that share one shape (3, height, width).

        Without a domain their (n, h, w, columns) patch maps.

        Raises:
            InferenceError: rows are missing or not finite; besides whatever the encoder raises.
        """
        self._tried = tuple(images[0].shape), domain
        rows = self._embed(torch.stack(list(images)), domain)
        self._recovered()
        return rows

    def check(self) -> None:
        """Find out whether the encoder works, by an image of noise like the one tried last."""
        if self._tried is None:
            return
        shape, domain = self._tried
        noise = torch.randn((1, *shape), generator=torch.Generator().manual_seed(0))
        try:
            self._embed(noise, domain)
        except Exception:
            if not self.failing:
                logger.exception("the encoder fails on whatever image it is given")
            self.failing = True
        else:
            self._recovered()

    def _embed(self, batch: torch.Tensor, domain: Domain | None) -> NDArray[np.float32]:
        with self._activities.doing("encode"):
            rows = (
                self._encoder.embed_patches(batch)
                if domain is None
                else self._encoder.embed(batch, domain=domain)
            )
        if rows.shape[0] != len(batch) or not np.isfinite(rows).all():
            raise InferenceError(f"the encoder returned {rows.shape} with numbers not finite")
        return rows

    def _recovered(self) -> None:
        if self.failing:
            logger.warning("the encoder works again")
        self.failing = False
