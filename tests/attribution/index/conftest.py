"""What the tests of the index share: rows of unit parts, and a catalog of random sources."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attribution.catalog import AddedBatch, Catalog, NewSource
from models.parts import Part, consecutive_parts
from tests.support.spaces import rows_of

PARTS = consecutive_parts([("structure", 6), ("appearance", 10)])


@dataclass(frozen=True)
class Space:
    """An encoder as far as an index knows one."""

    model_id: str = "test-encoder"
    dimension: int = 16
    parts: tuple[Part, ...] = PARTS


@pytest.fixture(autouse=True)
def no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing guards against a lost disk cache, which no test here can see, and takes most time.

    That snapshots flush what they must is tested on its own.
    """
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def space() -> Space:
    return Space()


@pytest.fixture
def unit_rows() -> Callable[..., np.ndarray]:
    def make(n: int, seed: int = 0, parts: Sequence[Part] = PARTS) -> np.ndarray:
        return rows_of(seed, n, parts)

    return make


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(tmp_path / "catalog") as opened:
        yield opened


@pytest.fixture
def add_sources(catalog: Catalog, space: Space, unit_rows) -> Callable[..., AddedBatch]:
    """Add n sources with random embeddings; every call makes other ones."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    calls = iter(range(1_000_000))

    def add(n: int, collection: str = "default", model_id: str = space.model_id) -> AddedBatch:
        call = next(calls)
        rows = unit_rows(n, seed=call)
        return catalog.add(
            model_id,
            [
                NewSource(
                    collection=collection,
                    sha256=hashlib.sha256(f"{call}/{number}".encode()).hexdigest(),
                    width=8,
                    height=8,
                    format="jpeg",
                    embedding=rows[number],
                    preview=buffer.getvalue(),
                )
                for number in range(n)
            ],
        )

    return add
