"""The picture within a picture: bars, pages and screens are seen through, drawings left alone."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from models.images.borders import content_box, cut_out
from tests.support.pictures import jpeg, picture

INNER = picture(1, (160, 120))


def framed(size, at, ground="black", inner=INNER) -> Image.Image:
    whole = Image.new("RGB", size, ground)
    whole.paste(inner, at)
    return whole


def saved(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(jpeg(image, quality))).convert("RGB")


def close(box, at, inner=INNER, by=3) -> bool:
    true = (*at, at[0] + inner.width, at[1] + inner.height)
    return box is not None and max(abs(a - b) for a, b in zip(box, true, strict=True)) <= by


@pytest.mark.parametrize("quality", [95, 75, 40])
@pytest.mark.parametrize("ground", ["black", "white", (18, 52, 86), (244, 240, 230)])
@pytest.mark.parametrize(
    ("size", "at"),
    [
        ((160, 200), (0, 40)),
        ((240, 120), (40, 0)),
        ((240, 200), (20, 60)),
        ((160, 170), (0, 0)),
        ((400, 300), (120, 80)),
    ],
    ids=["above and below", "both sides", "all around", "below", "page"],
)
def test_ground_of_one_colour_is_cut_off(size, at, ground, quality):
    assert close(content_box(saved(framed(size, at, ground), quality)), at)


def test_bars_may_differ_in_colour():
    whole = framed((160, 200), (0, 40))
    whole.paste("white", (0, 160, 160, 200))

    assert close(content_box(whole), (0, 40))


def test_a_frame_in_a_frame_is_seen_through():
    bordered = framed((180, 140), (10, 10), "white")

    box = content_box(framed((260, 240), (40, 50), "black", bordered))

    assert close(box, (40, 50), bordered)  # straight edges, and a picture that some hung so
    assert close(content_box(bordered.crop((0, 0, 180, 140))), (10, 10))


def test_a_screenshot_is_parted_from_what_is_written_around_it():
    whole = framed((220, 320), (30, 60), "white")
    drawn = ImageDraw.Draw(whole)
    drawn.rectangle((0, 0, 220, 16), fill=(40, 80, 160))
    drawn.text((8, 28), "somebody posted", fill="black")
    for line in range(200, 300, 16):
        drawn.text((8, line), "and another says", fill=(60, 60, 60))

    assert close(content_box(saved(whole, 80)), (30, 60))


def between_bars(inner) -> Image.Image:
    return framed((inner.width + 160, inner.height), (80, 0), "black", inner)


def viewer() -> Image.Image:
    """A dark program with a lighter panel on the right, full of words."""
    whole = framed((340, 200), (30, 40), (24, 24, 28))
    drawn = ImageDraw.Draw(whole)
    drawn.rectangle((230, 0, 340, 200), fill=(58, 58, 64))
    for line in range(8, 190, 14):
        drawn.text((238, line), "f/4 1/250 s", fill=(200, 200, 200))
    return whole


def night(divisor) -> Image.Image:
    return INNER.point(lambda level: 8 + level // divisor)


def squares(light, darker) -> Image.Image:
    down, across = np.mgrid[:220, :280] // 10
    ground = np.where((down + across) % 2, darker, light).astype(np.uint8)
    whole = Image.fromarray(ground).convert("RGB")
    whole.paste(INNER, (50, 60))
    return whole


def on_itself(size, at, radius=9) -> Image.Image:
    """Its own enlargement behind it, blurred and darkened."""
    inner = picture(1, INNER.size, grid=(40, 54))  # of a lens that was in focus
    whole = ImageOps.fit(inner, size).filter(ImageFilter.GaussianBlur(radius))
    whole = whole.point(lambda level: level * 2 // 5)
    whole.paste(inner, at)
    return whole


@pytest.mark.parametrize("quality", [95, 75])
@pytest.mark.parametrize(
    ("whole", "at"),
    [
        (between_bars(framed((280, 240), (50, 70), (250, 250, 250))), (130, 70)),
        (viewer(), (30, 40)),
        (framed((300, 120), (70, 0), "black", night(16)), (70, 0)),
        (framed((160, 240), (0, 60), "black", night(16)), (0, 60)),
        (squares(255, 204), (50, 60)),
        (squares(102, 153), (50, 60)),
        (on_itself((320, 120), (80, 0)), (80, 0)),
        (on_itself((160, 260), (0, 70)), (0, 70)),
        (on_itself((300, 240), (70, 60)), (70, 60)),
    ],
    ids=["page between bars", "viewer", "night, pillars", "night, letter box", "squares",
         "dark squares", "backdrop", "backdrop of a phone", "backdrop all around"],
)  # fmt: skip
def test_ground_may_be_of_two_colours_nearly_the_pictures_own_or_out_of_focus(whole, at, quality):
    assert close(content_box(saved(whole, quality)), at, by=4)


def test_specks_on_the_ground_do_not_matter():
    whole = framed((240, 200), (40, 40), "white")
    for at in range(5, 230, 45):
        whole.putpixel((at, 10), (90, 90, 90))

    assert close(content_box(whole), (40, 40))


def drawing() -> Image.Image:
    page = Image.new("RGB", (200, 200), "white")
    drawn = ImageDraw.Draw(page)
    drawn.ellipse((50, 40, 150, 160), outline="black", width=4)
    drawn.line((60, 60, 140, 150), fill="red", width=3)
    return page


def letter() -> Image.Image:
    page = Image.new("RGB", (200, 260), "white")
    for line in range(30, 230, 14):
        ImageDraw.Draw(page).text((24, line), "words of a long letter", fill="black")
    return page


def sheet() -> Image.Image:
    """Four pictures of like size: none of them is the one."""
    page = Image.new("RGB", (350, 270), "white")
    for number, at in enumerate([(10, 10), (180, 10), (10, 140), (180, 140)]):
        page.paste(picture(number, (160, 120)), at)
    return page


def cut_away() -> Image.Image:
    """An object on white, round."""
    page = Image.new("RGB", (200, 200), "white")
    mask = Image.new("L", (160, 160))
    ImageDraw.Draw(mask).ellipse((0, 0, 159, 159), fill=255)
    page.paste(picture(3, (160, 160)), (20, 20), mask)
    return page


def out_of_focus(at) -> Image.Image:
    """A sharp thing before a soft ground, as a lens shows it: it has no straight edges."""
    whole = picture(7, (240, 240)).filter(ImageFilter.GaussianBlur(12))
    mask = Image.new("L", (120, 150))
    ImageDraw.Draw(mask).ellipse((0, 0, 119, 149), fill=255)
    whole.paste(picture(3, (120, 150), grid=(50, 40)), at, mask)
    return whole


def sky() -> Image.Image:
    """Two shades of it at the top, and a row of houses below."""
    levels = np.full((200, 240), 150, np.uint8)
    levels[:, 120:] = 190
    whole = Image.fromarray(levels).convert("RGB")
    whole.paste(picture(5, (240, 120)), (0, 80))
    return whole


@pytest.mark.parametrize(
    "image",
    [
        INNER,
        out_of_focus((60, 45)),
        out_of_focus((10, 45)),
        sky(),
        on_itself((320, 120), (20, 0)),
        framed((300, 120), (0, 0), "black", night(16)),
        drawing(),
        letter(),
        sheet(),
        cut_away(),
        Image.new("RGB", (100, 100), "white"),
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (1, 300)),
        framed((400, 400), (190, 190), "white", picture(1, (20, 20))),
        framed((164, 124), (2, 2)),
        framed((162, 122), (1, 1)).filter(ImageFilter.GaussianBlur(8)),
    ],
    ids=["picture", "in the middle", "at the side", "sky", "not in the middle",
         "night at the side", "drawing", "letter", "sheet", "cut away", "blank", "dot", "line",
         "icon", "hairline", "blurred"],
)  # fmt: skip
def test_what_frames_no_picture_is_left_alone(image):
    assert content_box(image) is None
    assert cut_out(image) is None


def test_a_photograph_under_a_clear_sky_is_left_alone():
    across = np.linspace(0, 6, 200)
    hills = (110 + 20 * np.sin(across) + 8 * np.sin(5 * across)).astype(int)
    sky = np.zeros((200, 200, 3), np.uint8)
    sky[:] = (150, 190, 235)
    ground = np.asarray(picture(5, (200, 200)))
    rows = np.arange(200)[:, None] > hills
    sky[rows] = ground[rows]

    assert content_box(Image.fromarray(sky)) is None


def test_what_was_cut_out_is_the_picture_and_is_told():
    cut, note = cut_out(framed((320, 240), (80, 60), "white"))

    assert abs(cut.width - 160) <= 4
    assert np.abs(np.asarray(cut, int).mean() - np.asarray(INNER, int).mean()) < 3
    assert note.code == "framed-picture"
    assert "49% of its width" in note.detail or "50% of its width" in note.detail
