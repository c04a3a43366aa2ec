"""Pictures that say who made them and what may be done with them, as cameras and agencies do."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable

from PIL import Image

from tests.support.pictures import picture

NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "cc": "http://creativecommons.org/ns#",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
}
NO_TRAINING = "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-GENAIMLTRAINING"


def xmp(inside: str, attributes: str = "") -> bytes:
    """A packet whose description holds these elements."""
    spaces = " ".join(f'xmlns:{name}="{uri}"' for name, uri in NAMESPACES.items())
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">'
        f'<rdf:Description rdf:about="" {spaces} {attributes}>{inside}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def listed(name: str, kind: str, items: Iterable[str]) -> str:
    return f"<{name}><rdf:{kind}>{''.join(items)}</rdf:{kind}></{name}>"


def iptc(*entries: tuple[int, int, bytes]) -> bytes:
    """A block of IPTC-IIM: record, dataset and value of each entry."""
    return b"".join(
        struct.pack(">BBBH", 0x1C, record, dataset, len(value)) + value
        for record, dataset, value in entries
    )


def photoshop(block: bytes) -> bytes:
    """The segment APP13 of a JPEG, with a resource before the one that holds IPTC."""
    resources = b"8BIM\x03\xed\x03abc" + struct.pack(">I", 3) + b"xyz\0"
    resources += (
        b"8BIM\x04\x04\0\0" + struct.pack(">I", len(block)) + block + b"\0" * (len(block) % 2)
    )
    body = b"Photoshop 3.0\0" + resources
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body


def saying(
    seed: int,
    *,
    packet: bytes = b"",
    block: bytes = b"",
    exif: dict[int, str | bytes] | None = None,
) -> bytes:
    """A JPEG of picture `seed` with a packet of XMP, a block of IPTC and tags of EXIF."""
    tags = Image.Exif()
    tags.update(exif or {})
    written = io.BytesIO()
    options = {"xmp": packet} if packet else {}
    picture(seed).save(written, "JPEG", quality=92, exif=tags, **options)
    data = written.getvalue()
    return data[:2] + (photoshop(block) if block else b"") + data[2:]
