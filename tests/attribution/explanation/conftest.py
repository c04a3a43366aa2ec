"""The bundled encoder on real photographs."""

import pytest
from PIL import Image

from attribution.synthesis.photographs import bundled_photographs
from models import load_encoder


@pytest.fixture(scope="package")
def encoder():
    return load_encoder()


@pytest.fixture(scope="package")
def photographs() -> dict[str, Image.Image]:
    return {each.name: each.image for each in bundled_photographs()}
