"""Image files and ways to damage them: the same seed and number give the same bytes, always."""

import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

Mutation = Callable[[bytearray, random.Random], bytearray]

# At the borders of what 8, 16 and 32 bits hold, where lengths and sizes go wrong.
_BORDERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
_MAGIC = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBP", b"GIF89a", b"GIF87a",
          b"VP8X", b"VP8L", b"VP8 ", b"ANMF", b"ALPH", b"\xff\xc0", b"\xff\xc2", b"\xff\xda",
          b"\xff\xe1", b"IDAT", b"PLTE", b"tRNS", b"acTL", b"\x21\xf9\x04", b"\x2c"]  # fmt: skip


def corpus() -> list[bytes]:
    """One file of every kind that the decoder tells apart."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (10, 12, 4), dtype=np.uint8)
    colour = Image.fromarray(noise[..., :3]).resize((61, 47), Image.Resampling.BICUBIC)
    alpha = Image.fromarray(noise).resize((61, 47))
    deep = Image.fromarray(rng.integers(0, 65536, (20, 30), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [colour.rotate(90 * turn) for turn in range(1, 3)]
    return [
        _saved(colour, "JPEG", quality=80),
        _saved(colour, "JPEG", quality=95, progressive=True),
        _saved(colour, "JPEG", exif=exif.tobytes()),
        _saved(colour, "JPEG", restart_marker_blocks=4, subsampling=0),
        _saved(colour.convert("L"), "JPEG"),
        _saved(colour.convert("CMYK"), "JPEG"),
        _saved(colour, "PNG"),
        _saved(alpha, "PNG", exif=exif.tobytes()),
        _saved(colour.quantize(16), "PNG", transparency=3),
        _saved(colour.convert("1"), "PNG"),
        _saved(deep, "PNG"),
        _saved(colour, "PNG", save_all=True, append_images=frames),
        _saved(colour, "WEBP", quality=60),
        _saved(alpha, "WEBP", lossless=True),
        _saved(alpha, "WEBP", quality=40, exif=exif.tobytes()),
        _saved(colour, "WEBP", save_all=True, append_images=frames),
        _saved(colour, "GIF"),
        _saved(colour, "GIF", save_all=True, append_images=frames, transparency=2),
        _saved(colour.convert("L"), "GIF", interlace=False),
    ]


def mutated(files: list[bytes], seed: int, number: int) -> bytes:
    """Input ``number`` of a run: a file damaged in one to eight ways."""
    rng = random.Random(f"{seed} {number}")
    data = bytearray(rng.choice(files))
    for _ in range(rng.choice([1, 1, 2, 3, 5, 8])):
        data = rng.choice(_MUTATIONS)(data, rng)
    if rng.random() < 0.5:
        data = _with_right_checksums(data)
    if rng.random() < 0.1:
        data = _spliced(data, bytearray(rng.choice(files)), rng)
    return bytes(data)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def _at(data: bytearray, rng: random.Random) -> int:
    """Somewhere; half of the time in the header, where most meaning is."""
    length = max(1, len(data))
    return rng.randrange(min(length, 64)) if rng.random() < 0.5 else rng.randrange(length)


def _flip_bit(data: bytearray, rng: random.Random) -> bytearray:
    if data:
        data[_at(data, rng) % len(data)] ^= 1 << rng.randrange(8)
    return data


def _set_byte(data: bytearray, rng: random.Random) -> bytearray:
    if data:
        data[_at(data, rng) % len(data)] = rng.randrange(256)
    return data


def _set_number(data: bytearray, rng: random.Random) -> bytearray:
    at, width = _at(data, rng), rng.choice([1, 2, 4])
    value = rng.choice(_BORDERS) & (256**width - 1)
    data[at : at + width] = value.to_bytes(width, rng.choice(["big", "little"]))
    return data


def _cut_off(data: bytearray, rng: random.Random) -> bytearray:
    return data[: _at(data, rng)]


def _remove(data: bytearray, rng: random.Random) -> bytearray:
    at = _at(data, rng)
    del data[at : at + rng.randrange(1, 64)]
    return data


def _insert(data: bytearray, rng: random.Random) -> bytearray:
    at = _at(data, rng)
    data[at:at] = rng.randbytes(rng.randrange(1, 64))
    return data


def _repeat(data: bytearray, rng: random.Random) -> bytearray:
    at = _at(data, rng)
    data[at:at] = data[at : at + rng.randrange(1, 256)] * rng.choice([1, 1, 2, 20])
    return data


def _blank(data: bytearray, rng: random.Random) -> bytearray:
    at, length = _at(data, rng), rng.randrange(1, 64)
    data[at : at + length] = bytes([rng.choice([0, 255])]) * len(data[at : at + length])
    return data


def _write_magic(data: bytearray, rng: random.Random) -> bytearray:
    at, magic = _at(data, rng), rng.choice(_MAGIC)
    data[at : at + len(magic)] = magic
    return data


_MUTATIONS: list[Mutation] = [
    _flip_bit, _flip_bit, _set_byte, _set_byte, _set_number, _set_number, _cut_off, _remove,
    _insert, _repeat, _blank, _write_magic,
]  # fmt: skip


def _spliced(data: bytearray, other: bytearray, rng: random.Random) -> bytearray:
    return data[: _at(data, rng)] + other[_at(other, rng) :]


def _with_right_checksums(data: bytearray) -> bytearray:
    """Mend a PNG's checksums, so that damage gets past them."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        struct.pack_into(">I", data, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return data
