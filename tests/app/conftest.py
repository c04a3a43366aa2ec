"""A real service for a test, and one for the tests of a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from models.background import Background
from models.encoder import Encoder
from tests.support.encoders import background_of, thumbnail_encoder
from tests.support.service import Running, serving


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return thumbnail_encoder()


@pytest.fixture(scope="session")
def background(encoder) -> Background:
    return background_of(encoder)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", inference_threads=1)


@pytest.fixture
def running(settings, encoder, background) -> Iterator[Running]:
    with serving(settings, encoder, background) as served:
        yield served


@pytest.fixture(scope="module")
def shared(tmp_path_factory, encoder, background) -> Iterator[Running]:
    """One service for the tests of a module that do not disturb each other."""
    settings = Settings(data=tmp_path_factory.mktemp("service"), inference_threads=1)
    with serving(settings, encoder, background) as served:
        yield served
