"""An encoder, and a place whose gallery it opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from attribution.opening.place import PlainPlace
from models.background import Background
from models.encoder import Encoder
from tests.support.encoders import background_of, thumbnail_encoder


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return thumbnail_encoder()


@pytest.fixture(scope="session")
def background(encoder) -> Background:
    return background_of(encoder)


@pytest.fixture
def place(tmp_path: Path) -> PlainPlace:
    return PlainPlace(data=tmp_path / "data", inference_threads=1)
