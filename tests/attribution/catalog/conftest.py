"""A real catalog on SQLite and on PostgreSQL, and sources to put into it.

A test that asks for `catalog` runs on both. One that opens catalogs itself takes `url` as well; one
that is about SQLite, or about no database, is marked `only_sqlite`.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from attribution.catalog import Catalog, NewSource
from attribution.catalog import postgresql as catalog_on_postgresql
from tests.support.postgresql import Server

MakeSource = Callable[..., NewSource]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    """The URL of an empty catalog; None for a file in the folder that is opened."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgresql_url")


@pytest.fixture(scope="session")
def _one_engine(postgresql: Server) -> Iterator[None]:
    """Let one database have one engine: it knows its statements, and its connections are open."""
    kept: dict[sa.URL, sa.Engine] = {}
    make = catalog_on_postgresql.engine

    def engine(url: sa.URL) -> sa.Engine:
        known = postgresql.url_of_empty_catalogs
        if known is None or url != sa.make_url(known):
            return make(url)
        if url not in kept:
            kept[url] = make(url)
            kept[url].dispose = lambda *_: None
        return kept[url]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog_on_postgresql, "engine", engine)
        yield
    for one in kept.values():
        del one.dispose
        one.dispose()


@pytest.fixture
def postgresql_url(postgresql: Server, _one_engine: None) -> str:
    """The URL of an empty catalog on the server."""
    return postgresql.empty_catalog()


@pytest.fixture
def catalog(tmp_path: Path, url: str | None) -> Iterator[Catalog]:
    with Catalog.open(tmp_path / "data", url=url) as opened:
        yield opened


@pytest.fixture(scope="session")
def make_source() -> MakeSource:
    """``make_source(7, title="x")``: another number means other bytes, vector and preview."""

    def make(number: int, **fields: Any) -> NewSource:
        given: dict[str, Any] = {
            "collection": "default",
            "sha256": hashlib.sha256(b"image %d" % number).hexdigest(),
            "width": 640,
            "height": 480,
            "format": "jpeg",
            "uri": f"photos/{number}.jpg",
            "embedding": np.array([number, 0.5, -1.0], dtype=np.float32),
            "preview": b"\xff\xd8\xff preview %d" % number,
        }
        return NewSource(**(given | fields))

    return make
