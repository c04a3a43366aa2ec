"""The ground behind transparency: white where the picture shows on it, black where it does not."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from models.images.ground import has_content, on_ground

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def drawing(colour: tuple[int, ...], mode: str = "RGBA", side: int = 120) -> Image.Image:
    image = Image.new("RGBA", (side, side), (*colour[:3], 0))
    ImageDraw.Draw(image).ellipse((side // 4, side // 4, side // 2, side // 2), fill=colour)
    return image.convert(mode)


@pytest.mark.parametrize(
    ("colour", "ground"),
    [
        ((255, 255, 255), BLACK),
        ((255, 255, 255, 128), BLACK),
        ((215, 215, 215), BLACK),
        ((255, 240, 60), BLACK),
        ((180, 220, 255), BLACK),
        ((128, 128, 128), WHITE),
        ((255, 0, 0), WHITE),
        ((40, 60, 200), WHITE),
        ((0, 0, 0), WHITE),
    ],
)
@pytest.mark.parametrize("side", [120, 1200])
def test_the_ground_contrasts_with_what_is_drawn(colour, ground, side):
    image, note = on_ground(drawing(colour, side=side))

    assert image.mode == "RGB"
    assert image.getpixel((0, 0)) == ground
    assert has_content(image)
    assert note.code == ("ground-black" if ground == BLACK else "ground-white")


def test_grey_with_alpha_is_treated_alike():
    image, note = on_ground(drawing((250, 250, 250), "LA"))

    assert (image.getpixel((0, 0)), note.code) == (BLACK, "ground-black")


def test_what_shows_on_white_stays_there_though_it_is_light():
    picture = drawing((255, 255, 255))
    ImageDraw.Draw(picture).rectangle((35, 35, 55, 55), fill=(0, 0, 0, 255))

    image, _ = on_ground(picture)

    assert image.getpixel((0, 0)) == WHITE
    assert has_content(image)


def test_a_page_with_transparent_corners_stays_on_white():
    page = Image.new("RGBA", (100, 100), "white")
    ImageDraw.Draw(page).text((20, 30), "a page\nof text", fill="black")
    page.putpixel((0, 0), (0, 0, 0, 0))

    assert on_ground(page)[0].getpixel((0, 0)) == WHITE


def test_colours_under_full_transparency_have_no_say():
    hidden = np.random.default_rng(0).integers(0, 256, (50, 50, 4), dtype=np.uint8)
    hidden[..., 3] = 0
    hidden[10:20, 10:20] = 255

    image, note = on_ground(Image.fromarray(hidden))

    assert note.code == "ground-black"
    assert set(np.unique(np.asarray(image))) == {0, 255}


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "CMYK"])
def test_nothing_is_said_where_nothing_shines_through(mode):
    assert on_ground(Image.new(mode, (4, 4)).convert("RGB").convert(mode))[1] is None


def test_one_colour_is_no_content_and_coding_noise_none_either():
    noise = np.random.default_rng(0).integers(120, 127, (40, 40, 3), dtype=np.uint8)

    assert not has_content(Image.new("RGB", (40, 40), "white"))
    assert not has_content(Image.fromarray(noise))
    assert has_content(on_ground(drawing((200, 0, 0)))[0])
