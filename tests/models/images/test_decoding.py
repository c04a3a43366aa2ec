"""Decoding: every mode, every orientation, every refusal, and hostile bytes."""

import hashlib
import io
import random
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.JpegImagePlugin import JpegImageFile

from models.images.decoding import decode
from models.images.errors import (
    CorruptImage,
    DecodingLimits,
    EmptyImage,
    ImageError,
    ImageTooLarge,
    TooManyPixels,
    UnsupportedImage,
)

FORMATS = ["JPEG", "PNG", "WEBP", "GIF"]


def saved(image: Image.Image, image_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def photograph(width: int = 96, height: int = 64) -> Image.Image:
    """Smooth colour gradients, which every format keeps well."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([across, down, 255 - across], -1).astype(np.uint8))


def chunk(name: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def png(width, height, depth, colour, rows: bytes, *before: bytes) -> bytes:
    """A PNG written by hand, for what Pillow does not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + pixels + chunk(b"IEND", b"")


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def difference(first: Image.Image, second: Image.Image) -> float:
    return float(np.abs(np.asarray(first, float) - np.asarray(second, float)).mean())


@pytest.mark.parametrize("image_format", FORMATS)
def test_reports_the_file(image_format):
    data = saved(photograph(), image_format)

    decoded = decode(data)

    assert (decoded.width, decoded.height) == (96, 64) == decoded.image.size
    assert decoded.format == image_format.lower()
    assert decoded.sha256 == hashlib.sha256(data).hexdigest()
    assert decoded.image.mode == "RGB"
    assert difference(decoded.image, photograph()) < (20 if image_format == "GIF" else 4)


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 700), (700, 1), (513, 512)])
def test_odd_sizes(image_format, width, height):
    decoded = decode(saved(photograph(width, height), image_format))

    assert (decoded.width, decoded.height) == (width, height)
    assert max(decoded.image.size) == min(512, max(width, height))


# Modes


def test_transparent_pixels_become_white_and_half_transparent_ones_half_white():
    image = Image.new("RGBA", (2, 1))
    image.putdata([(10, 20, 30, 0), (0, 0, 0, 128)])

    pixels = np.asarray(decode(saved(image, "PNG")).image)

    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert abs(int(pixels[0, 1, 0]) - 127) <= 1


def test_webp_alpha_is_composited_on_white():
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 0))

    assert decode(saved(image, "WEBP", lossless=True)).image.getpixel((0, 0)) == (255, 255, 255)


def test_grey_with_alpha():
    image = Image.new("LA", (2, 1))
    image.putdata([(0, 0), (40, 255)])

    assert np.asarray(decode(saved(image, "PNG")).image).tolist() == [[[255] * 3, [40] * 3]]


def test_grey_and_one_bit():
    grey = decode(saved(Image.new("L", (3, 3), 77), "JPEG")).image
    black = decode(saved(Image.new("1", (3, 3), 0), "PNG")).image

    assert grey.getpixel((1, 1)) == (77, 77, 77)
    assert black.getpixel((1, 1)) == (0, 0, 0)


def test_sixteen_bit_grey_is_scaled_not_clipped():
    levels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)

    decoded = decode(saved(Image.fromarray(levels), "PNG"))

    assert np.abs(np.asarray(decoded.image)[..., 0].astype(int) - levels / 257).max() <= 1


def test_sixteen_bit_grey_is_scaled_when_reduced_too():
    levels = np.full((64, 64), 32768, np.uint16)

    assert decode(saved(Image.fromarray(levels), "PNG"), target_side=8).image.getpixel((4, 4)) == (
        (128, 128, 128)
    )


def test_sixteen_bit_grey_with_a_transparent_level():
    rows = b"\0" + struct.pack(">HH", 1000, 32768)

    decoded = decode(png(2, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 1000))))

    assert np.asarray(decoded.image)[0, :, 0].tolist() == [255, 128]


def test_sixteen_bit_colour():
    rows = b"\0" + struct.pack(">3H", 0xFFFF, 0x8000, 0)

    assert decode(png(1, 1, 16, 2, rows)).image.getpixel((0, 0)) == (255, 128, 0)


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_palette_with_transparency(transparency):
    image = Image.new("P", (2, 1))
    image.putpalette([9, 9, 9, 0, 0, 255])
    image.putdata([0, 1])

    pixels = np.asarray(decode(saved(image, "PNG", transparency=transparency)).image)

    assert pixels.tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_colour_key_transparency():
    rows = bytes([0, 1, 2, 3, 4, 5, 6])

    pixels = np.asarray(
        decode(png(2, 1, 8, 2, rows, chunk(b"tRNS", struct.pack(">3H", 1, 2, 3)))).image
    )

    assert pixels.tolist() == [[[255, 255, 255], [4, 5, 6]]]


def test_gif_transparency():
    image = Image.new("P", (2, 1))
    image.putpalette([9, 9, 9, 0, 0, 255])
    image.putdata([0, 1])

    pixels = np.asarray(decode(saved(image, "GIF", transparency=0)).image)

    assert pixels.tolist() == [[[255, 255, 255], [0, 0, 255]]]


@pytest.mark.parametrize("mark_as_adobe", [True, False])
def test_cmyk_is_read_as_photoshop_and_browsers_do(mark_as_adobe):
    data = saved(photograph().convert("CMYK"), "JPEG", quality=95)
    if not mark_as_adobe:
        start = data.index(b"\xff\xeeAdobe"[:2])
        data = data[:start] + data[start + 16 :]

    assert difference(decode(data).image, photograph()) < 4


def test_a_palette_of_light_colours_is_shown_on_black():
    image = Image.new("P", (60, 60))
    image.putpalette([0, 0, 0, 250, 250, 240])
    image.paste(1, (20, 10, 40, 50))

    for image_format in ("PNG", "GIF"):
        decoded = decode(saved(image, image_format, transparency=0))

        assert decoded.image.getpixel((0, 0)) == (0, 0, 0)
        assert decoded.image.getpixel((30, 30)) == (250, 250, 240)
        assert [note.code for note in decoded.notes] == ["ground-black"]


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_its_first_frame(image_format):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]

    data = saved(frames[0], image_format, save_all=True, append_images=frames[1:], lossless=True)

    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert decode(data).image.getpixel((5, 5)) == (255, 0, 0)


# Orientation


# How a camera that writes this orientation stores an upright picture.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(image_format, orientation):
    upright = photograph(1200, 800)
    stored = upright.transpose(STORED[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation

    decoded = decode(saved(stored, image_format, exif=exif), target_side=300)

    assert (decoded.width, decoded.height) == (1200, 800)
    assert decoded.image.size == (300, 200)
    assert difference(decoded.image, upright.resize((300, 200))) < 4


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "code"), [(3, "H"), (4, "I")])
def test_orientation_in_either_byte_order(order, kind, code):
    value = struct.pack(order + code, 6).ljust(4, b"\0")
    entries = struct.pack(order + "HHI", 0x0100, 4, 1) + bytes(4)
    entries += struct.pack(order + "HHI", 0x0112, kind, 1) + value
    magic = b"II*\0" if order == "<" else b"MM\0*"
    tiff = magic + struct.pack(order + "IH", 8, 2) + entries
    data = saved(photograph(), "JPEG")

    decoded = decode(data[:2] + segment(0xE1, b"Exif\0\0" + tiff) + data[2:])

    assert (decoded.width, decoded.height) == (64, 96)


# Metadata


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03" * 20,
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0",
        b"nonsense" * 50,
    ],
)
def test_broken_exif_does_not_fail_a_good_picture(exif):
    data = saved(photograph(), "JPEG")

    decoded = decode(data[:2] + segment(0xE1, b"Exif\0\0" + exif) + data[2:])

    assert (decoded.width, decoded.height) == (96, 64)


def test_broken_colour_profiles_do_not_fail_a_good_picture():
    jpeg, dots = saved(photograph(), "JPEG"), photograph()
    bomb = zlib.compress(bytes(50_000_000))

    decode(jpeg[:2] + segment(0xE2, b"ICC_PROFILE\0\x01\x09junk") + jpeg[2:])
    decode(jpeg[:2] + segment(0xE2, b"ICC_PROFILE\0") + jpeg[2:])
    for body in (b"", b"icc", b"icc\0\x07", b"icc\0\0junk", b"icc\0\0" + bomb):
        data = saved(dots, "PNG")
        assert decode(data[:33] + chunk(b"iCCP", body) + data[33:]).image.size == dots.size


@pytest.mark.parametrize("image_format", FORMATS)
def test_no_metadata_stays_with_the_picture(image_format):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    options = {"comment": b"where I live"} if image_format in {"GIF", "JPEG"} else {}

    decoded = decode(saved(photograph(), image_format, icc_profile=profile, exif=exif, **options))

    assert decoded.image.info == {}
    assert not decoded.image.getexif()


def test_an_unfinished_animation_is_still_a_picture():
    data = saved(photograph(), "PNG")
    twice = chunk(b"acTL", struct.pack(">II", 0, 0)) * 2

    assert decode(data[:33] + twice + data[33:]).image.size == (96, 64)


# Reducing


@pytest.mark.parametrize("image_format", FORMATS)
def test_reduces_to_the_target_and_no_further(image_format):
    original = photograph(2000, 1000)

    decoded = decode(saved(original, image_format), target_side=256)

    assert decoded.image.size == (256, 128)
    assert (decoded.width, decoded.height) == (2000, 1000)
    assert difference(decoded.image, original.resize((256, 128), Image.Resampling.LANCZOS)) < 6


@given(width=st.integers(1, 300), height=st.integers(1, 300), target=st.integers(1, 300))
def test_long_side_is_the_smaller_of_original_and_target(width, height, target):
    decoded = decode(saved(Image.new("RGB", (width, height)), "JPEG"), target_side=target)

    assert max(decoded.image.size) == min(max(width, height), target)


def test_small_and_full_size_pictures_keep_every_pixel():
    data = saved(photograph(900, 600), "PNG")

    assert decode(data, target_side=None).image.size == (900, 600)
    assert decode(data, target_side=900).image.tobytes() == photograph(900, 600).tobytes()


@pytest.mark.parametrize(
    ("target_side", "decoded_size"),
    [(160, (200, 150)), (200, (200, 150)), (201, (400, 300)), (801, (1600, 1200))],
)
def test_jpeg_is_reduced_while_it_is_decoded(monkeypatch, target_side, decoded_size):
    decoded_sizes = []
    prepare = JpegImageFile.load_prepare
    monkeypatch.setattr(
        JpegImageFile,
        "load_prepare",
        lambda image: decoded_sizes.append(image.size) or prepare(image),
    )

    decoded = decode(saved(photograph(1600, 1200), "JPEG"), target_side=target_side)

    assert decoded_sizes == [decoded_size]
    assert decoded.image.size == (target_side, round(target_side * 0.75))
    assert (decoded.width, decoded.height) == (1600, 1200)


def test_reducing_is_antialiased():
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 255

    for image_format in ("PNG", "JPEG"):
        reduced = np.asarray(
            decode(saved(Image.fromarray(stripes), image_format), target_side=100).image
        )
        assert abs(reduced.mean() - 127.5) < 3
        assert reduced.std() < 10


def test_target_side_must_be_positive():
    with pytest.raises(ValueError, match="target_side") as caught:
        decode(saved(photograph(), "PNG"), target_side=0)
    assert not isinstance(caught.value, ImageError)


# Refusals


@pytest.mark.parametrize(
    ("data", "error", "code"),
    [
        (b"", EmptyImage, "empty-image"),
        (b"hello", UnsupportedImage, "unsupported-image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedImage, "unsupported-image"),
        (b"%PDF-1.7", UnsupportedImage, "unsupported-image"),
        (saved(photograph(), "BMP"), UnsupportedImage, "unsupported-image"),
        (b"\xff\xd8\xff", CorruptImage, "corrupt-image"),
        (b"\x89PNG\r\n\x1a\n", CorruptImage, "corrupt-image"),
        (b"GIF89a", CorruptImage, "corrupt-image"),
        (b"RIFF\0\0\0\0WEBP", CorruptImage, "corrupt-image"),
        (png(0, 5, 8, 2, b""), CorruptImage, "corrupt-image"),
        (png(5, 5, 8, 2, b""), CorruptImage, "corrupt-image"),
        (png(5, 5, 7, 9, b"\0" * 99), CorruptImage, "corrupt-image"),
    ],
)
def test_refuses(data, error, code):
    with pytest.raises(error) as caught:
        decode(data)
    assert caught.value.code == code
    assert str(caught.value).endswith(".")


def test_twenty_five_megabytes_are_refused_unread():
    with pytest.raises(ImageTooLarge, match="20,000,000 bytes") as caught:
        decode(bytes(25_000_000))
    assert caught.value.code == "image-too-large"


@pytest.mark.parametrize(
    "header",
    [
        png(10_000, 10_000, 8, 2, b"")[:33],
        b"\xff\xd8" + segment(0xC0, struct.pack(">BHHB", 8, 10_000, 10_000, 3) + bytes(9)),
        b"GIF89a" + struct.pack("<HHBBB", 10_000, 10_000, 0, 0, 0),
        b"GIF89a"
        + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
        + b","
        + struct.pack("<4HB", 9_999, 9_999, 1, 1, 0),
        b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + (9_999).to_bytes(3, "little") * 2,
        b"RIFF\x1a\0\0\0WEBPVP8L\x0a\0\0\0\x2f" + struct.pack("<I", 9_999 | 9_999 << 14) + bytes(5),
        b"RIFF\x1a\0\0\0WEBPVP8 \x0a\0\0\0"
        + bytes(3)
        + b"\x9d\x01\x2a"
        + struct.pack("<HH", 10_000, 10_000),
    ],
    ids=["png", "jpeg", "gif", "gif overhang", "webp", "webp lossless", "webp lossy"],
)
def test_a_hundred_megapixels_in_a_few_bytes_are_refused_from_the_header(header):
    with pytest.raises(
        TooManyPixels, match=r"10000 x 10000 pixels, more than 50,000,000"
    ) as caught:
        decode(header)
    assert caught.value.code == "too-many-pixels"


def test_limits_may_be_raised_and_lowered():
    data = saved(photograph(), "PNG")

    with pytest.raises(TooManyPixels):
        decode(data, limits=DecodingLimits(max_pixels=96 * 64 - 1))
    with pytest.raises(ImageTooLarge):
        decode(data, limits=DecodingLimits(max_bytes=len(data) - 1))
    assert decode(data, limits=DecodingLimits(len(data), 96 * 64)).width == 96


def test_raised_limits_reach_beyond_those_of_pillow():
    rows = zlib.compress(bytes(1251 * 10_000))
    data = png(10_000, 10_000, 1, 0, b"")
    data = data.replace(chunk(b"IDAT", zlib.compress(b"")), chunk(b"IDAT", rows))

    decoded = decode(data, limits=DecodingLimits(max_pixels=100_000_000), target_side=64)

    assert decoded.image.size == (64, 64)


@pytest.mark.parametrize("image_format", FORMATS)
def test_every_truncation_is_refused_or_harmless(image_format):
    data = saved(photograph(48, 32), image_format)
    whole = decode(data).image.tobytes()

    for length in range(1, len(data), 3):
        try:
            decoded = decode(data[:length])
        except ImageError:
            continue
        assert decoded.image.tobytes() == whole, f"{length} of {len(data)} bytes"
        # Of a PNG its end (12 bytes) and the checksums of its rows (4) and their chunk (4).
        assert length >= len(data) - (20 if image_format == "PNG" else 15)


def test_a_flipped_bit_in_png_pixels_is_noticed():
    data = bytearray(saved(photograph(), "PNG"))
    data[data.index(b"IDAT") + 40] ^= 1

    with pytest.raises(CorruptImage, match="checksum"):
        decode(bytes(data))


# Hostile bytes


def mutated(seed: int, originals: list[bytes]) -> bytes:
    """Flip, cut, repeat and splice: the damage that files meet, and some that they do not."""
    chance = random.Random(seed)
    data = bytearray(chance.choice(originals))
    for _ in range(chance.choice([1, 1, 2, 5, 30])):
        at = chance.randrange(min(len(data), chance.choice([64, 400, len(data)])))
        match chance.randrange(5):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at : at + chance.randrange(1, 9)] = chance.randbytes(chance.randrange(9))
            case 2:
                del data[at : at + chance.randrange(1, 40)]
            case 3:
                data[at:at] = data[: chance.randrange(60)]
            case _:
                data[at : at + 4] = chance.choice(
                    [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"]
                )
        data = data or bytearray(b"\0")
    return bytes(data)


def test_damaged_files_give_a_picture_or_an_image_error():
    small, exif = photograph(40, 30), Image.Exif()
    exif[0x0112] = 6
    animated = {"save_all": True, "append_images": [small.rotate(90)]}
    originals = [
        saved(small, "JPEG", exif=exif),
        saved(small, "JPEG", progressive=True),
        saved(small.convert("CMYK"), "JPEG"),
        saved(small, "PNG", exif=exif),
        saved(small.quantize(16), "PNG", transparency=3),
        saved(small.convert("RGBA"), "PNG", **animated),
        saved(small, "WEBP", exif=exif),
        saved(small.convert("RGBA"), "WEBP", lossless=True),
        saved(small, "WEBP", **animated),
        saved(small, "GIF", transparency=1),
        saved(small, "GIF", **animated),
    ]
    limits, outcomes = DecodingLimits(max_pixels=1_000_000), {"picture": 0, "error": 0}
    for seed in range(2_400):
        try:
            decoded = decode(mutated(seed, originals), limits=limits, target_side=32)
        except ImageError:
            outcomes["error"] += 1
        else:
            assert decoded.image.mode == "RGB"
            assert max(decoded.image.size) <= 32
            outcomes["picture"] += 1

    assert min(outcomes.values()) > 200, outcomes


@given(st.binary(max_size=200), st.sampled_from([b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n"]))
def test_noise_behind_a_signature_is_an_image_error(noise, signature):
    with pytest.raises(ImageError):
        decode(signature + noise)


def many_scans() -> bytes:
    data = saved(photograph(), "JPEG", progressive=True)
    last_scan = data.rindex(b"\xff\xda")
    return data[:-2] + data[last_scan:-2] * 5_000 + data[-2:]


def many_text_chunks() -> bytes:
    data = saved(photograph(), "PNG")
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000)))
    return data[:33] + text * 2_000 + data[33:]


def many_frames() -> bytes:
    data = saved(
        photograph(8, 8), "WEBP", save_all=True, append_images=[photograph(8, 8).rotate(90)]
    )
    frame = data[data.rindex(b"ANMF") :]
    data += frame * 20_000
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def many_extensions() -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0)
    return screen + b"!\xfe\1a\0" * 2_000_000


HEAVY = {
    "jpeg of fill bytes": lambda: b"\xff\xd8" + b"\xff" * 10_000_000,
    "jpeg of junk": lambda: b"\xff\xd8\xff\xe0\0\x04ab" + bytes(10_000_000),
    "jpeg of comments": lambda: b"\xff\xd8" + segment(0xFE, b"") * 2_500_000,
    "jpeg of scans": many_scans,
    "png of text": many_text_chunks,
    "png of chunks": lambda: png(9, 9, 8, 2, b"")[:33] + chunk(b"tEXt", b"") * 800_000,
    "gif of extensions": many_extensions,
    "gif of sub-blocks": lambda: b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1a" * 5_000_000,
    "webp of chunks": lambda: b"RIFF\xf0\xff\xff\0WEBPVP8X\x0a\0\0\0" + bytes(19_000_000),
    "webp of frames": many_frames,
}


@pytest.mark.parametrize("name", HEAVY)
def test_heavy_files_do_not_stall(name):
    data, started = HEAVY[name](), time.thread_time()  # a busy machine is no stall
    try:
        decode(data)
    except CorruptImage:
        assert name not in {"png of text", "webp of frames"}  # these hold a good picture
    assert time.thread_time() - started < 1.0
