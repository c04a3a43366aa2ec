"""A real catalog, and sources to put into it."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from attribution.catalog import Catalog, NewSource
from tests.support.pictures import jpeg, picture
from tests.support.spaces import SmallSpace


@pytest.fixture
def small_space() -> SmallSpace:
    return SmallSpace()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(tmp_path / "data") as opened:
        opened.put_collection("other")
        yield opened


@pytest.fixture(scope="session")
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
            preview=jpeg(picture(number, (96, 96), (24, 24))),
        )

    return make
