"""What a file is, by its first bytes; what reads HEIC, AVIF and TIFF where the extra is there."""

import contextlib
import importlib.abc
import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from models.images import further
from models.images.decoding import decode
from models.images.errors import (
    CorruptImage,
    DecodingLimits,
    ImageError,
    TooManyPixels,
    UnsupportedImage,
)
from models.images.formats import HEAD_BYTES, picture_format
from tests.support.forks import Fork
from tests.support.pictures import picture
from tests.support.waiting import PATIENCE

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
AVIF = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"


def saved(image, form, **options):
    written = io.BytesIO()
    image.save(written, form, **options)
    return written.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_picture_is_known_by_its_first_bytes(form):
    assert picture_format(saved(picture(1), form)[:HEAD_BYTES]) == form.lower()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (HEIC, "heic"),
        (AVIF, "avif"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1heic", "heic"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "cr3"),
        (b"8BPS\0\1", "psd"),
        (b"II*\0\x10\0\0\0CR\2\0", "cr2"),
    ],
)
def test_of_other_pictures_the_kind_is_known(head, name):
    assert picture_format(head) == name


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"BMI of patients",
        b"%PDF-1.7",
        b"PK\3\4",
        b'{"path": "a.jpg"}',
        b"\0\0\0\x18ftypmp42",
        b"\0" * 64,
    ],
)
def test_what_is_no_picture_is_none(head):
    assert picture_format(head) is None


@pytest.mark.parametrize(
    ("data", "name"), [(HEIC, "HEIC"), (AVIF, "AVIF"), (b"II*\0" + bytes(9), "TIFF")]
)
def test_without_the_extra_it_is_named(monkeypatch, data, name):
    monkeypatch.setattr(further, "installed", lambda: False)
    with pytest.raises(UnsupportedImage, match=rf"{name}.*pip install 'attribution\[formats\]'"):
        decode(data)


@pytest.fixture
def extra(monkeypatch):
    monkeypatch.setattr(further, "installed", lambda: True)


def cut_everywhere(data):
    further.installed = lambda: True
    for end in range(8, 60):
        with contextlib.suppress(CorruptImage):
            decode(data[:end])


def test_a_tiff_cut_in_its_tags_is_an_error_and_nothing_is_printed_beside():
    """In a process of its own: here every warning is an error."""
    with Fork(cut_everywhere, saved(picture(1), "TIFF")) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")


def alike(decoded, original):
    shown = np.asarray(decoded.image, np.float32)
    return np.abs(shown - np.asarray(original.convert("RGB"), np.float32)).mean() < 4


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK", "1"])
def test_a_tiff_is_read(extra, mode):
    original = picture(1).convert(mode)
    decoded = decode(saved(original, "TIFF"))
    assert (decoded.format, decoded.width, decoded.height) == ("tiff", *original.size)
    assert alike(decoded, original)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "jpeg"])
def test_a_compressed_tiff_is_read(extra, compression):
    assert alike(decode(saved(picture(1), "TIFF", compression=compression)), picture(1))


def test_greys_of_any_range_are_read(extra):
    ramp = np.linspace(-3.0, 7.0, 64 * 48, dtype=np.float32).reshape(48, 64)
    shown = np.asarray(decode(saved(Image.fromarray(ramp), "TIFF")).image)
    assert shown.min() == 0
    assert shown.max() == 255


def test_a_turned_tiff_is_upright_and_only_its_first_page_counts(extra):
    first = picture(1, (60, 40))
    data = saved(first, "TIFF", save_all=True, append_images=[picture(2)], tiffinfo={274: 6})
    decoded = decode(data)
    assert (decoded.width, decoded.height) == decoded.image.size == (40, 60)
    assert alike(decoded, first.transpose(Image.Transpose.ROTATE_270))


def test_an_avif_is_read(extra):
    decoded = decode(saved(picture(1), "AVIF", quality=95))
    assert decoded.format == "avif"
    assert alike(decoded, picture(1))


def heic(*pictures, **options) -> bytes:
    heif = pytest.importorskip("pillow_heif")
    written = io.BytesIO()
    first, *others = map(heif.from_pillow, pictures)
    first.save(written, save_all=True, append_images=others, chroma=444, quality=100, **options)
    return written.getvalue()


def test_a_heic_is_read():
    decoded = decode(heic(picture(1)))
    assert (decoded.format, decoded.width, decoded.height) == ("heic", *picture(1).size)
    assert alike(decoded, picture(1))
    assert decoded.notes == ()


def test_a_light_drawing_in_a_heic_has_its_ground_chosen():
    drawing = Image.new("RGBA", (64, 48))
    drawing.paste("white", (20, 10, 44, 38))
    decoded = decode(heic(drawing))
    assert [note.code for note in decoded.notes] == ["ground-black"]
    assert decoded.image.getpixel((30, 20)) > (200,) * 3 > decoded.image.getpixel((5, 5))


def test_a_turned_heic_is_upright():
    lying, said = picture(1, (64, 48)), Image.Exif()
    said[274] = 6
    decoded = decode(heic(lying, exif=said.tobytes()))
    assert (decoded.width, decoded.height) == decoded.image.size == (48, 64)
    assert alike(decoded, lying.transpose(Image.Transpose.ROTATE_270))


def test_limits_hold_for_a_heic_and_one_that_is_cut_is_told():
    data = heic(picture(1))
    with pytest.raises(TooManyPixels):
        decode(data, limits=DecodingLimits(max_pixels=100))
    for length in range(16, len(data) - 1, max(1, len(data) // 30)):
        with pytest.raises(CorruptImage):
            decode(data[:length])


def test_a_heic_that_lies_about_its_size_is_told():
    data = heic(picture(1))
    at = data.index(b"ispe") + 8
    for width, height in ((0, 0), (1, 1), (9000, 9000), (2**31, 2**31), (2**32 - 1, 1)):
        lying = data[:at] + struct.pack(">II", width, height) + data[at + 8 :]
        with pytest.raises((CorruptImage, TooManyPixels)):
            decode(lying)


@pytest.mark.parametrize("seed", range(4))
def test_no_damage_to_a_heic_is_more_than_an_error(seed):
    data = bytearray(heic(picture(1, (48, 36))))
    random = np.random.default_rng(seed)
    for _ in range(40):
        damaged = bytearray(data)
        for at in random.integers(8, len(data), 6):
            damaged[at] = random.integers(256)
        with contextlib.suppress(ImageError):
            decode(bytes(damaged))


class Blocked(importlib.abc.MetaPathFinder):
    """An import that fails, as where a library of the extra is not to be found."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pillow_heif":
            raise ImportError("libheif.so.1: cannot open shared object file")


@pytest.mark.parametrize("broken", [False, True])
def test_without_the_extra_a_heic_says_how_to_get_it(monkeypatch, broken):
    data = heic(picture(1))
    for name in [name for name in sys.modules if name.partition(".")[0] == "pillow_heif"]:
        monkeypatch.delitem(sys.modules, name)
    if broken:
        monkeypatch.setattr(sys, "meta_path", [Blocked(), *sys.meta_path])
    else:
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnsupportedImage, match=r"HEIC.*pip install 'attribution\[formats\]'"):
        decode(data)
    with pytest.raises(UnsupportedImage, match=r"TIFF.*pip install 'attribution\[formats\]'"):
        decode(saved(picture(1), "TIFF"))


@pytest.mark.parametrize("form", ["AVIF", "TIFF"])
def test_of_several_pictures_the_first_with_content_is_taken(extra, form):
    blank = Image.new("RGB", picture(1).size, "white")
    data = saved(blank, form, save_all=True, append_images=[blank, picture(1), picture(2)])
    decoded = decode(data)
    assert alike(decoded, picture(1))
    assert [note.code for note in decoded.notes] == ["later-frame"]
    assert "frame 3 " in decoded.notes[0].detail
    only = decode(saved(blank, form, save_all=True, append_images=[blank]))
    assert alike(only, blank)
    assert only.notes == ()
    few = DecodingLimits(max_pixels=2 * blank.width * blank.height)
    assert alike(decode(data, limits=few), blank)


RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("scale", [1, 4, 16, 257])
def test_deep_colours_of_a_tiff_are_as_light_as_they_were_meant(
    extra, order, compression, alpha, scale
):
    values = np.stack([RAMP, RAMP[::-1], RAMP.T], -1) * scale
    samples = {"extrasamples": ["unassalpha"]} if alpha else {}
    if alpha:
        values = np.dstack([values, np.full((16, 16), 65535, np.uint16)])
    data = deep_tiff(values, photometric="rgb", byteorder=order, compression=compression, **samples)
    decoded = decode(data)
    assert np.array_equal(np.asarray(decoded.image), values[..., :3] // scale)
    assert [note.code for note in decoded.notes] == ([] if scale == 257 else ["levels"])


def test_deep_greys_whose_black_is_the_largest_number_are_no_negative(extra):
    shown = decode(deep_tiff(RAMP * 257, photometric="miniswhite")).image
    assert np.array_equal(np.asarray(shown)[..., 0], 255 - RAMP)


def test_deep_colours_that_lie_apart_are_told_and_not_mixed_up(extra):
    apart = np.stack([RAMP, RAMP, RAMP])
    with pytest.raises(CorruptImage, match="lie apart"):
        decode(deep_tiff(apart, photometric="rgb", planarconfig="separate"))


def deep_tiff(values, **options) -> bytes:
    tifffile = pytest.importorskip("tifffile")
    written = io.BytesIO()
    tifffile.imwrite(written, values, **options)
    return written.getvalue()


@pytest.mark.parametrize("form", ["TIFF", "AVIF"])
def test_limits_hold_and_damage_is_told(extra, form):
    data = saved(picture(1), form)
    with pytest.raises(TooManyPixels):
        decode(data, limits=DecodingLimits(max_pixels=100))
    for length in range(16, len(data) - 200, max(1, len(data) // 20)):
        with pytest.raises(CorruptImage):
            decode(data[:length])


def test_the_preview_in_a_raw_file_is_not_taken_for_the_picture(extra):
    with pytest.raises(CorruptImage, match="raw file"):
        decode(saved(picture(1), "TIFF", tiffinfo={254: 1}))
