"""What tests of answers share: a small encoder space, real catalogs and indexes."""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attribution.catalog import Catalog, NewSource
from models.parts import Part, consecutive_parts

SPACE_PARTS = consecutive_parts([("structure", 12), ("appearance", 12)])


def rows_of(seed, n, parts=SPACE_PARTS):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, parts[-1].stop)).astype(np.float32)
    for part in parts:
        rows[:, part.columns] /= np.linalg.norm(rows[:, part.columns], axis=1, keepdims=True)
    return rows


@dataclass(frozen=True)
class SmallSpace:
    """As much of an encoder as answering needs."""

    model_id: str = "small"
    dimension: int = 24
    parts: tuple[Part, ...] = SPACE_PARTS
    reference: np.ndarray = field(default_factory=lambda: rows_of(99, 200))
    views: int = 1
    fusion: str = "max-standardised"

    @property
    def reference_queries(self) -> np.ndarray:
        return self.reference

    def query_rows(self, seed: int, n: int) -> np.ndarray:
        """`(n, views * 24)` rows, every view drawn on its own."""
        drawn = [rows_of(seed + 7_000 * view, n, self.parts) for view in range(self.views)]
        return np.concatenate(drawn, axis=1)


def preview(seed):
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).resize((96, 96))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=92)
    return buffer.getvalue()


@pytest.fixture
def small_space() -> SmallSpace:
    return SmallSpace()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(tmp_path / "data") as opened:
        opened.put_collection("other")
        yield opened


@pytest.fixture
def new_source() -> Callable[..., NewSource]:
    def make(number: int, row: np.ndarray, collection: str = "default") -> NewSource:
        return NewSource(
            collection=collection,
            sha256=hashlib.sha256(f"{collection}{number}".encode()).hexdigest(),
            width=96,
            height=96,
            format="jpeg",
            title=f"source {number}",
            embedding=row,
            preview=preview(number),
        )

    return make
