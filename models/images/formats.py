"""What a file is, by its first bytes: a picture that can be decoded, one that cannot, or none.

Names and decodes nothing; how a file ends its name is only asked where its bytes say nothing.
"""

from __future__ import annotations

from models.images.containers import CONTAINERS, Container
from models.images.errors import UnsupportedImage
from models.images.further import EXTRA, further_container

HEAD_BYTES = 64
"""As many of the first bytes as tell what a file is."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif"})
"""Common endings of the files that `decode` always reads, in lower case."""

PICTURE_SUFFIXES = IMAGE_SUFFIXES | {
    ".apng", ".arw", ".avif", ".bmp", ".cr2", ".cr3", ".dib", ".dng", ".emf", ".eps", ".exr",
    ".hdr", ".heic", ".heif", ".hif", ".ico", ".j2k", ".jif", ".jfi", ".jp2", ".jpg_large",
    ".jpg_orig", ".jxl", ".jxr", ".nef", ".orf", ".pef", ".pjpeg", ".pjp", ".png_large", ".pbm",
    ".pgm", ".ppm", ".psd", ".raf", ".raw", ".rw2", ".svg", ".tga", ".tif", ".tiff", ".wmf",
    ".xcf", ".split",
}  # fmt: skip
"""Endings that say "this is a picture", whatever is in the file."""

_NAMED = {"heic": "HEIC", "avif": "AVIF", "tiff": "TIFF"}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
_HEIF_FAMILY = {b"mif1", b"msf1", b"miaf", b"mif2"}


def picture_format(head: bytes) -> str | None:
    """A short name of the kind of picture that begins so; None of what is no picture.

    Args:
        head: the first `HEAD_BYTES` of a file, or all of it.
    """
    for container in CONTAINERS:
        if container.matches(head):
            return container.format
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "bmp"
    return None


_MAGIC = (
    (b"II*\0\x10\0\0\0CR", "cr2"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"IIU\0", "rw2"),
    (b"IIRO", "orf"),
    (b"FUJIFILMCCD-RAW", "raf"),
    (b"8BPS", "psd"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\x76\x2f\x31\x01", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"gimp xcf", "xcf"),
)


def _of_brands(head: bytes) -> str | None:
    """HEIC and AVIF are kinds of one container, which says its kinds in brands of four letters."""
    brands = {head[start : start + 4] for start in (8, *range(16, len(head) - 3, 4))}
    if head[8:12] in {b"avif", b"avis"} or (head[8:12] in _HEIF_FAMILY and b"avif" in brands):
        return "avif"
    if head[8:12] in _HEIF_BRANDS | _HEIF_FAMILY:
        return "heic"
    return "cr3" if head[8:12] == b"crx " else None


def container_of(data: bytes) -> Container:
    """The format of these bytes; raises UnsupportedImage for any other, and says what it is."""
    for container in CONTAINERS:
        if container.matches(data):
            return container
    name = picture_format(data[:HEAD_BYTES])
    if name in _NAMED:
        further = further_container(name)
        if further is not None:
            return further
        raise UnsupportedImage(
            f"This is a file of format {_NAMED[name]}, which is read where the extra is installed "
            f"(pip install 'attribution[{EXTRA}]'): install it, or convert the image to JPEG."
        )
    what = f"This is a file of format {name.upper()}, not" if name else "This is not"
    raise UnsupportedImage(
        f"{what} a JPEG, PNG, WebP or GIF file: convert the image to one of these formats."
    )
