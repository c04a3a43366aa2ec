"""What viewers show is decoded: a JPEG without its end, a GIF without a screen."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from models.images.decoding import decode
from models.images.errors import CorruptImage

NOISE = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8)
PICTURE = Image.fromarray(NOISE).resize((150, 110), Image.Resampling.BICUBIC)
KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 4},
    "full colour": {"subsampling": 0, "quality": 95},
}


def jpeg(**options) -> bytes:
    written = io.BytesIO()
    PICTURE.save(written, "JPEG", **options)
    return written.getvalue()


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("tail", [b"", b"\xff", b"\0" * 40, b"\xff\xff"])
def test_a_jpeg_without_its_end_marker_has_all_its_rows(options, tail):
    data = jpeg(**options)

    decoded = decode(data[:-2] + tail)

    assert decoded.image.tobytes() == decode(data).image.tobytes()
    assert [note.code for note in decoded.notes] == ["no-end-marker"]
    assert decode(data).notes == ()


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_a_jpeg_that_lacks_rows_too_is_refused(options):
    data = jpeg(**options)
    for missing in (*range(8, 60, 3), *range(60, len(data) - 700, 97)):
        with pytest.raises(CorruptImage, match=r"ends early|past the end"):
            decode(data[:-missing])


def test_a_jpeg_that_ends_between_two_restarts_lacks_rows():
    data = jpeg(restart_marker_blocks=4)
    ends = [
        at for at in range(700, len(data) - 2) if data[at] == 0xFF and 0xD0 <= data[at + 1] < 0xD8
    ]
    assert len(ends) > 3
    for end in ends[1::3]:
        with pytest.raises(CorruptImage):
            decode(data[:end])


def test_a_progressive_jpeg_that_ends_between_two_scans_is_refused():
    data = jpeg(progressive=True)
    scans = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 3
    for scan in scans[1:]:
        with pytest.raises(CorruptImage):
            decode(data[:scan])


def saved(form: str, **options) -> bytes:
    written = io.BytesIO()
    PICTURE.save(written, form, **options)
    return written.getvalue()


@pytest.mark.parametrize("missing", [1, 6, 12, 13, 16])
def test_a_png_without_its_end_has_all_its_rows(missing):
    data = saved("PNG")  # the last chunk is 12 bytes long, the checksum before it 4

    decoded = decode(data[:-missing])

    assert decoded.image.tobytes() == decode(data).image.tobytes()
    ended = missing < 5  # its name is there
    assert [note.code for note in decoded.notes] == ([] if ended else ["no-end-marker"])


def test_a_png_that_lacks_rows_is_refused():
    data = saved("PNG")
    for length in range(45, len(data) - 60, 601):
        with pytest.raises(CorruptImage):
            decode(data[:length])


def test_a_png_that_ends_in_what_follows_its_pixels_is_whole():
    data = saved("PNG")
    behind = struct.pack(">I", 5000) + b"tEXt" + b"Comment\0half of it"

    decoded = decode(data[:-12] + behind)

    assert decoded.image.tobytes() == decode(data).image.tobytes()
    with pytest.raises(CorruptImage, match="tEXt runs past"):
        decode(data[:33] + behind)


def test_a_webp_without_the_byte_that_pads_it():
    data = saved("WEBP")
    assert data[-1] == 0, "which libwebp counts as one of the picture"
    odd = int.from_bytes(data[16:20], "little") - 1
    data = data[:16] + struct.pack("<I", odd) + data[20:]

    decoded = decode(data[:-1])

    assert decoded.image.tobytes() == decode(data).image.tobytes()
    with pytest.raises(CorruptImage):
        decode(data[:-2])


@pytest.mark.parametrize("screen", [(0, 0), (0, 110), (150, 0)])
def test_a_gif_with_a_screen_of_no_area_is_as_large_as_its_picture(screen):
    written = io.BytesIO()
    PICTURE.save(written, "GIF")
    data = written.getvalue()

    decoded = decode(data[:6] + struct.pack("<HH", *screen) + data[10:])

    assert (decoded.width, decoded.height) == PICTURE.size
    assert decoded.image.tobytes() == decode(data).image.tobytes()


def test_a_gif_without_any_area_is_refused():
    data = b"GIF89a" + bytes(7) + b"," + struct.pack("<4HB", 0, 0, 0, 0, 0) + b"\x02\x00;"
    with pytest.raises(CorruptImage):
        decode(data)
