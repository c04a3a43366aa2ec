"""Pictures that are turned, and turned back."""

from models.images.notes import HOW_TURNED, TURNS
from models.images.turned import turned_back
from tests.support.pictures import picture


def test_turned_back_is_the_picture_that_was_turned():
    image = picture(1, (30, 20))
    for degrees in TURNS:
        assert turned_back(image.rotate(degrees, expand=True), degrees) == image  # to the left
    assert set(HOW_TURNED) == set(TURNS) - {0}
