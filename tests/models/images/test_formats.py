"""What a file is, by its first bytes; what reads HEIC, AVIF and TIFF where the extra is there."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from models.images import further
from models.images.decoding import decode
from models.images.errors import CorruptImage, DecodingLimits, TooManyPixels, UnsupportedImage
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


def test_a_heic_is_read():
    heif = pytest.importorskip("pillow_heif")
    written = io.BytesIO()
    heif.from_pillow(picture(1)).save(written, quality=95)
    decoded = decode(written.getvalue())
    assert decoded.format == "heic"
    assert alike(decoded, picture(1))


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
