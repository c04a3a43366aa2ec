"""Pixels of more than 8 bits: a picture is as light as its writer meant it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from models.images.decoding import decode
from models.images.levels import deep_grey, to_eight

RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16)


def png(values: np.ndarray, colour: int, transparent: bytes = b"") -> bytes:
    """A PNG of 16 bits a channel, `(h, w, channels)`."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))
        )

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    if transparent:
        parts.insert(1, (b"tRNS", transparent))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_values_of_fewer_bits_are_read_as_such(bits):
    decoded = decode(png((RAMP << bits - 8)[..., None], 0))

    assert np.array_equal(np.asarray(decoded.image)[..., 0], RAMP)
    assert [note.code for note in decoded.notes] == ["levels"]
    assert f" {bits} " in decoded.notes[0].detail


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_colours_and_alpha_too(colour, channels):
    values = np.stack([RAMP] * channels, -1)
    if channels in {2, 4}:
        values[..., -1] = 255

    decoded = decode(png(values, colour))

    assert np.array_equal(np.asarray(decoded.image)[..., 0], RAMP)
    assert "levels" in {note.code for note in decoded.notes}


@pytest.mark.parametrize("scale", [1, 4, 16, 257])
def test_one_transparent_colour_of_sixteen_bits_is_that_one_alone(scale):
    """Pillow compares its low byte with the high byte of each pixel."""
    values = np.stack([RAMP * scale] * 3, -1)
    opaque = struct.pack(">3H", 9 * scale, 9 * scale, 8 * scale)
    hidden = struct.pack(">3H", *[9 * scale] * 3)

    assert np.array_equal(np.asarray(decode(png(values, 2, opaque)).image)[..., 0], RAMP)
    decoded = decode(png(values, 2, hidden))
    assert np.array_equal(np.asarray(decoded.image)[..., 0], np.where(RAMP == 9, 255, RAMP))
    assert decoded.notes[-1].code == "ground-white"


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize(("colour", "channels"), [(4, 2), (6, 4)])
def test_alpha_of_as_few_bits_is_as_full(bits, colour, channels):
    values = np.stack([RAMP << bits - 8] * channels, -1)
    values[..., -1] = 255 << bits - 8

    decoded = decode(png(values, colour))

    assert np.array_equal(np.asarray(decoded.image)[..., 0], RAMP)


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_low_values_under_full_alpha(colour, channels):
    values = np.stack([RAMP << 4] * channels, -1)
    if channels in {2, 4}:
        values[..., -1] = 65535

    decoded = decode(png(values, colour))

    assert np.array_equal(np.asarray(decoded.image)[..., 0], RAMP)
    assert [note.code for note in decoded.notes] == ["levels"]


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_all_sixteen_bits_are_scaled_as_ever(colour, channels):
    values = np.stack([RAMP * 257] * channels, -1)
    if channels in {2, 4}:
        values[..., -1] = 65535

    decoded = decode(png(values, colour))

    assert np.array_equal(np.asarray(decoded.image)[..., 0], RAMP)
    assert decoded.notes == ()


def test_a_dark_picture_that_was_spread_over_sixteen_bits_stays_dark():
    dark = (RAMP % 12) * 257

    for values, colour in ((dark[..., None], 0), (np.stack([dark] * 3, -1), 2)):
        decoded = decode(png(values, colour))
        assert np.array_equal(np.asarray(decoded.image)[..., 0], RAMP % 12)
        assert decoded.notes == ()


def test_black_is_black():
    decoded = decode(png(np.zeros((4, 4, 1), np.uint16), 0))

    assert decoded.image.getextrema() == ((0, 0),) * 3
    assert decoded.notes == ()


@pytest.mark.parametrize("scale", [1, 257])
def test_whole_numbers_of_thirty_two_bits(scale):
    grey, _ = deep_grey(Image.fromarray(RAMP.astype(np.int32) * scale))

    assert grey.mode == "L"
    assert np.array_equal(np.asarray(grey), RAMP)


def test_negative_numbers_are_black():
    assert to_eight(np.array([-5, 0, 200]))[0].tolist() == [0, 0, 200]


@pytest.mark.parametrize("scale", [1 / 255, 1, 257])
def test_numbers_with_a_point(scale):
    grey, _ = deep_grey(Image.fromarray((RAMP * scale).astype(np.float32)))

    assert np.array_equal(np.asarray(grey), RAMP)


def test_numbers_below_zero_are_stretched_and_none_is_no_number():
    values = np.array([[-1.0, 0.0, 1.0, np.nan]], np.float32)

    assert np.asarray(deep_grey(Image.fromarray(values))[0]).tolist() == [[0, 128, 255, 128]]


def test_tiff_of_sixteen_bits_opened_by_pillow():
    written = io.BytesIO()
    Image.fromarray(RAMP).save(written, "TIFF")

    with Image.open(written) as opened:
        assert np.array_equal(np.asarray(deep_grey(opened)[0]), RAMP)
