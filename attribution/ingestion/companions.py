"""Further encoders that the catalog registers: new sources get a row of each of them too.

The rule, whoever adds: what goes wrong with a further encoder keeps no source out. It is logged,
and the source lacks that row until `attribution reembed` is run again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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


@contextmanager
def keeping_no_source_out(model_id: str, images: int = 1) -> Iterator[None]:
    """Work on rows of a further encoder: a failure of any kind is logged, and ends it."""
    try:
        yield
    except Exception:
        logger.warning(
            "encoder %s failed: %d new sources get no row of it", model_id, images, exc_info=True
        )


def rows_of(encoder: ImageEncoder, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
    """A `(d,)` row of each image.

    Raises:
        ValueError: the encoder's numbers are not that.
    """
    rows = encoder.encode(images)
    expected = (len(images), encoder.dimension)
    if rows.shape != expected or not np.isfinite(rows).all():
        raise ValueError(
            f"Encoder {encoder.model_id!r} gave {rows.shape} numbers, some perhaps not finite, "
            f"instead of {expected}: check its weights."
        )
    return rows


def registered_in(catalog: Catalog) -> tuple[RegisteredEncoder, ...]:
    """The encoders that a catalog registers now."""
    return tuple(catalog.encoders.registry().encoders)


class Companions:
    """Loads what is registered besides one encoder, when it is first needed. For one thread.

    Args:
        registered: says which there are; asked anew for each batch: an encoder may come while a
            long run is under way.
        model_id: of the encoder that the caller has.
        load: makes an encoder of its registration; raises CatalogError where it cannot.
    """

    def __init__(
        self,
        registered: Callable[[], Sequence[RegisteredEncoder]],
        model_id: str,
        load: Callable[[RegisteredEncoder], ImageEncoder],
    ) -> None:
        self._registered, self._model_id, self._load = registered, model_id, load
        self._loaded: dict[RegisteredEncoder, ImageEncoder | None] = {}

    def rows(self, images: Sequence[Image.Image]) -> list[dict[str, npt.NDArray[np.float32]]]:
        """Of each image the rows of every further encoder that works, by `model_id`."""
        rows: list[dict[str, npt.NDArray[np.float32]]] = [{} for _ in images]
        for registered in self._registered():
            if registered.model_id == self._model_id:
                continue
            encoder = self._encoder(registered)
            if encoder is None:
                continue
            with keeping_no_source_out(registered.model_id, len(images)):
                for place, row in enumerate(rows_of(encoder, images)):
                    rows[place][registered.model_id] = row
        return rows

    def _encoder(self, registered: RegisteredEncoder) -> ImageEncoder | None:
        if registered not in self._loaded:
            try:
                self._loaded[registered] = self._load(registered)
            except CatalogError as error:
                logger.warning("new sources get no row of it: %s", error)
                self._loaded[registered] = None
        return self._loaded[registered]
