"""What a catalog holds already, small enough to be taken to every machine: 8 bytes a source."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from attribution.catalog import Catalog
from attribution.ingestion.names import holds, number_of

_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Held:
    """The images that have a vector, as ascending numbers of collection and sha256.

    Who is told that an image is held asks the catalog: two images in a million are alike once in
    10 million runs, and a source may be deleted meanwhile.
    """

    numbers: NDArray[np.uint64]

    @classmethod
    def of(cls, catalog: Catalog, model_id: str) -> Self:
        """What is held now, with a vector of this encoder."""
        numbers = array("Q")
        last = 0
        while page := catalog.embedded_digests(model_id, after_vector_id=last, limit=_PAGE):
            numbers.extend(number_of(collection, sha256) for _, collection, sha256 in page)
            last = page[-1][0]
        return cls(np.sort(np.frombuffer(numbers, np.uint64)) if numbers else cls.nothing().numbers)

    @classmethod
    def nothing(cls) -> Self:
        """As of an empty catalog."""
        return cls(np.empty(0, np.uint64))

    def has(self, collection: str, sha256: str) -> bool:
        """Whether a collection holds the image."""
        return holds(self.numbers, number_of(collection, sha256))
