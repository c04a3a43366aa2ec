"""Animations: the first frame, or the first that shows something as a viewer would show it."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageDraw

from models.images.animations import Frame
from models.images.decoding import decode
from models.images.errors import DecodingLimits

SIZE = (64, 48)
FORMATS = ["GIF", "PNG", "WEBP"]
BLANKS = ["white", "black", (0, 0, 0, 0)]


def blank(colour="white") -> Image.Image:
    return Image.new("RGBA", SIZE, colour)


def disc(colour="red", ground=(0, 0, 0, 0)) -> Image.Image:
    image = blank(ground)
    ImageDraw.Draw(image).ellipse((20, 10, 50, 40), fill=colour)
    return image


def animation(image_format: str, frames: list[Image.Image], **options) -> bytes:
    written = io.BytesIO()
    options = {"save_all": True, "append_images": frames[1:], "duration": 50} | options
    if image_format == "WEBP":
        options |= {"lossless": True}
    frames[0].save(written, image_format, **options)
    return written.getvalue()


def close(first: Image.Image, second: Image.Image) -> bool:
    difference = np.asarray(first, int) - np.asarray(second.convert("RGB"), int)
    return bool(np.abs(difference).mean() < 3)


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("colour", BLANKS)
@pytest.mark.parametrize("empty", [1, 3])
def test_the_first_frame_with_content_is_taken(image_format, colour, empty):
    # Frames of one colour each, since Pillow joins frames that are the same.
    shades = itertools.cycle([colour, "grey", "white"])
    frames = [blank(next(shades)) for _ in range(empty)]
    shown = disc(ground="white")

    decoded = decode(animation(image_format, [*frames, shown, disc("blue", "lime")]))

    assert close(decoded.image, shown)
    notes = {note.code: note.detail for note in decoded.notes}
    assert f"frame {empty + 1} " in notes["later-frame"]


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_first_frame_with_content_is_it(image_format):
    first = disc(ground="white")

    decoded = decode(animation(image_format, [first, disc("blue", "lime")]))

    assert close(decoded.image, first)
    assert "later-frame" not in {note.code for note in decoded.notes}


@pytest.mark.parametrize("frames", [[], [blank("white")]])
def test_a_picture_before_the_animation_may_be_the_empty_one(frames):
    animated = [*frames, disc(ground="white")]
    decoded = decode(animation("PNG", [blank("black"), *animated], default_image=True))

    assert close(decoded.image, disc(ground="white"))
    assert f"frame {len(animated)} " in decoded.notes[0].detail


@pytest.mark.parametrize("image_format", FORMATS)
def test_without_any_content_it_is_the_first_frame(image_format):
    decoded = decode(animation(image_format, [blank("navy"), blank("white"), blank("black")]))

    assert close(decoded.image, blank("navy"))
    assert decoded.notes == ()


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_light_drawing_in_a_later_frame_has_its_ground_chosen(image_format):
    decoded = decode(animation(image_format, [blank((0, 0, 0, 0)), disc("white")], disposal=2))

    assert decoded.image.getpixel((0, 0)) == (0, 0, 0)
    assert decoded.image.getpixel((35, 25)) == (255, 255, 255)
    assert {note.code for note in decoded.notes} == {"later-frame", "ground-black"}


@pytest.mark.parametrize("image_format", FORMATS)
def test_frames_are_drawn_over_what_earlier_ones_left(image_format):
    # Encoders store only what changes: here a disc's own rectangle, on the black before it.
    decoded = decode(animation(image_format, [blank("black"), disc("red", "black")]))

    assert close(decoded.image, disc("red", "black"))


@pytest.mark.parametrize(("image_format", "kept"), [("GIF", 1), ("PNG", 0)])  # Pillow: no WebP
@pytest.mark.parametrize(("more", "behind"), [(0, "grey"), (1, "white"), (2, "white")])
def test_what_a_frame_leaves_behind_is_by_its_disposal(image_format, kept, more, behind):
    frames = [blank("white"), blank("grey"), disc()]

    decoded = decode(animation(image_format, frames, disposal=kept + more, blend=1))

    # Cleared, and restored to what was there before all frames: transparent, on a white ground.
    assert close(decoded.image, disc(ground=behind))


@pytest.mark.parametrize("image_format", FORMATS)
def test_later_frames_are_reduced_and_counted(image_format):
    frames = [blank("white").resize((640, 480)), disc(ground="white").resize((640, 480))]
    data = animation(image_format, frames)

    reduced = decode(data, target_side=64)
    held_back = decode(data, limits=DecodingLimits(max_pixels=640 * 480))

    assert reduced.image.size == SIZE
    assert (reduced.width, reduced.height) == (640, 480)
    assert close(reduced.image, disc(ground="white"))
    assert close(held_back.image, frames[0].resize((512, 384)))


@pytest.mark.parametrize("image_format", FORMATS)
def test_damage_behind_an_empty_first_frame_costs_the_later_ones_only(image_format):
    data = animation(image_format, [blank("white"), disc(ground="white"), disc("blue", "lime")])
    for length in range(len(data) - 60, len(data) - 8, 7):
        cut = data[:length] if image_format != "WEBP" else data[:length] + bytes(len(data) - length)
        image = decode(cut).image
        assert image.size == SIZE


def frames_beyond_the_canvas(count: int, side: int) -> bytes:
    """A WebP animation of 1 x 1 pixel whose later frames, of one colour, are much larger."""

    def frame(width: int) -> bytes:
        written = io.BytesIO()
        Image.new("RGB", (width, width), "white").save(written, "WEBP", lossless=True)
        size = (width - 1).to_bytes(3, "little")
        body = bytes(6) + 2 * size + bytes(4) + written.getvalue()[12:]
        return b"ANMF" + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)

    head = b"VP8X" + (10).to_bytes(4, "little") + b"\x02" + bytes(9)
    chunks = head + b"ANIM" + (6).to_bytes(4, "little") + bytes(6) + frame(1) + count * frame(side)
    return b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WEBP" + chunks


@pytest.mark.parametrize(("side", "most"), [(300, 4), (1, 29)])
def test_large_frames_on_a_small_canvas_and_many_small_ones_are_soon_given_up(
    monkeypatch, side, most
):
    laid = []
    monkeypatch.setattr(Frame, "lay", lambda self, picture, _: laid.append(picture.size))
    data = frames_beyond_the_canvas(200, side)
    decoded = decode(data, limits=DecodingLimits(max_pixels=299_999))
    assert decoded.image.size == (1, 1)
    assert 1 < len(laid) <= most
