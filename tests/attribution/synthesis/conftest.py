import pytest
from PIL import Image

from attribution.synthesis import bundled_photographs


@pytest.fixture(scope="session")
def photographs() -> dict[str, Image.Image]:
    return {photograph.name: photograph.image for photograph in bundled_photographs()}
