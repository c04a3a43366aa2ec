"""Images for a published backbone: as its preprocessing makes them of a query."""

import pytest
import torch
from PIL import Image

from attribution.training.data.framing import read_framed
from attribution.training.data.images import NoImages
from models.images.preprocessing import Preprocessing
from tests.support.pictures import picture

CROPPED = Preprocessing(
    32, 32, "centre-crop", 0.875, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
)


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        picture(number).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return tmp_path


@pytest.mark.parametrize("shape", [CROPPED, Preprocessing(32, 32)])
def test_images_are_what_the_encoder_sees_of_a_query(folder, shape):
    images = read_framed([folder], shape)
    assert images.names == tuple(f"{number}.png" for number in range(6))
    seen = shape(Image.open(folder / "2.png"))
    pixels = images.batch(torch.tensor([2]))[0]
    described = (pixels - torch.tensor(shape.mean)[:, None, None]) / torch.tensor(shape.std)[
        :, None, None
    ]
    assert torch.allclose(described, seen, atol=1e-5)


def test_a_part_of_the_images_is_drawn_by_the_seed_and_none_that_is_held_out(folder):
    held = frozenset({"broken.png", "1.png"})
    drawn = [read_framed([folder], CROPPED, exclude=held, limit=3, seed=seed) for seed in (0, 0, 1)]
    assert [len(images) for images in drawn] == [3, 3, 3]
    assert drawn[0].names == drawn[1].names == tuple(sorted(drawn[0].names))
    assert drawn[0].names != drawn[2].names
    assert not held & set(drawn[0].names + drawn[2].names)


def test_nothing_readable_is_an_error(folder):
    everything = frozenset(f"{number}.png" for number in range(6))
    with pytest.raises(NoImages, match="no readable image"):
        read_framed([folder], CROPPED, exclude=everything)
