"""The bytes of an image file to what it says of itself; reads rights and names, never places."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from attribution.ingestion.embedded.fields import EXIF_TAGS, Embedded, embedded_of
from attribution.ingestion.embedded.iptc import read_iptc
from attribution.ingestion.embedded.xmp import read_xmp
from models.images.exif import values_of
from models.images.packets import packets_of


def installed() -> bool:
    """Whether the extra `metadata` is there."""
    try:
        import_module("defusedxml.ElementTree")
    except ImportError:
        return False
    return True


def require() -> None:
    """Find out before the work that the extra is there.

    Raises:
        ImportError: it is not.
    """
    if not installed():
        raise ImportError(
            "reading what pictures say of themselves needs the extra: "
            "pip install 'attribution[metadata]'"
        )


def embedded_reader(asked: bool | None) -> Callable[[bytes], Embedded] | None:  # noqa: FBT001
    """What reads pictures' own statements: where it is asked, or where nothing is said and it can.

    Args:
        asked: True for yes, False for no, None for where the extra is installed.

    Raises:
        ImportError: it is asked, and the extra is not installed.
    """
    if asked:
        require()
    return read_embedded if asked or (asked is None and installed()) else None


def read_embedded(data: bytes) -> Embedded:
    """What an image file says of itself; nothing where it says nothing that can be read.

    Raises:
        ImportError: the extra is not installed.
    """
    packets = packets_of(data)
    xmp = read_xmp(packets.xmp) if packets.xmp else {}
    return embedded_of(
        values_of(packets.exif, EXIF_TAGS), read_iptc(packets.iptc), xmp, packets.texts
    )
