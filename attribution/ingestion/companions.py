"""Further encoders that the catalog registers: new sources get an embedding of each of them too."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from attribution.catalog import Catalog, CatalogError, RegisteredEncoder

logger = logging.getLogger(__name__)


class ImageEncoder(Protocol):
    """What ingesting needs of an encoder."""

    @property
    def model_id(self) -> str:
        """Names what the vectors mean; other vectors have another model_id."""

    @property
    def dimension(self) -> int:
        """Length d of a vector."""

    def encode(self, images: Sequence[Image.Image], /) -> npt.NDArray[np.float32]:
        """RGB images to `(n, d)` float32."""


class Companions:
    """Loads what is registered besides one encoder, when it is first needed. For one thread.

    Args:
        catalog: asked anew for each batch: an encoder may come while a long run is under way.
        model_id: of the encoder that the caller has.
        load: makes an encoder of its registration; raises CatalogError where it cannot.
    """

    def __init__(
        self, catalog: Catalog, model_id: str, load: Callable[[RegisteredEncoder], ImageEncoder]
    ) -> None:
        self._catalog, self._model_id, self._load = catalog, model_id, load
        self._loaded: dict[RegisteredEncoder, ImageEncoder | None] = {}

    def rows(self, images: Sequence[Image.Image]) -> list[dict[str, npt.NDArray[np.float32]]]:
        """Of each image the rows of every further encoder, by `model_id`.

        An encoder that cannot be loaded or fails is left out with a warning, and its coverage
        falls below full until `attribution reembed` is run again.
        """
        rows: list[dict[str, npt.NDArray[np.float32]]] = [{} for _ in images]
        for registered in self._catalog.encoders.registry().encoders:
            if registered.model_id == self._model_id:
                continue
            encoder = self._encoder(registered)
            if encoder is None:
                continue
            try:
                vectors = encoder.encode(images)
            except Exception:
                # Of whatever kind, it must not keep out what the encoder that serves can take.
                logger.warning(
                    "encoder %s failed: %d new sources get no row of it",
                    registered.model_id, len(images), exc_info=True,
                )  # fmt: skip
                continue
            if vectors.shape != (len(images), encoder.dimension) or not np.isfinite(vectors).all():
                logger.warning("encoder %s gave vectors that are unusable", registered.model_id)
                continue
            for place, vector in enumerate(vectors):
                rows[place][registered.model_id] = vector
        return rows

    def _encoder(self, registered: RegisteredEncoder) -> ImageEncoder | None:
        if registered not in self._loaded:
            try:
                self._loaded[registered] = self._load(registered)
            except CatalogError as error:
                logger.warning("new sources get no row of it: %s", error)
                self._loaded[registered] = None
        return self._loaded[registered]
