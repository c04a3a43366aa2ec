"""Data folders with real previews, by an encoder of pixels; and what sources leave in files."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.catalog import Catalog, NewSource
from attribution.index import open_index, save_snapshot
from models.images.decoding import decode
from models.parts import Part, consecutive_parts
from tests.support.pictures import jpeg, picture

PARTS = consecutive_parts([("upper", 12), ("lower", 12)])


@dataclass(frozen=True)
class PixelEncoder:
    """24 numbers: an image shrunk to 4 x 2 pixels."""

    model_id: str = "pixels"
    dimension: int = 24
    parts: tuple[Part, ...] = PARTS

    def encode(self, images):
        small = [np.asarray(image.resize((4, 2)), np.float32).reshape(2, 12) for image in images]
        rows = np.stack(small) + 1
        return (rows / np.linalg.norm(rows, axis=2, keepdims=True)).reshape(-1, 24)


@dataclass(frozen=True)
class Known:
    """All that a source has left somewhere, to be looked for in files."""

    source_id: str
    sha256: str
    uri: str
    embedding: bytes
    preview: bytes

    def traces(self):
        """Byte strings none of which may be found once the source is erased, the digest apart."""
        pieces = [self.embedding[start : start + 32] for start in range(0, 96, 32)]
        middle = len(self.preview) // 2
        return [self.uri.encode(), *pieces, self.preview[middle : middle + 64]]


def preview_of(number):
    return jpeg(picture(number, (160, 120), (12, 16)), quality=90)


def sha256_of(number):
    return hashlib.sha256(b"original %d" % number).hexdigest()


def fill(catalog, numbers, collection="default"):
    """Add sources with the row of `PixelEncoder`; what each has left, by number."""
    known = {}
    for number in numbers:
        preview = preview_of(number)
        [row] = PixelEncoder().encode([decode(preview).image])
        uri = f"photographs/number-{number}.jpg"
        new = NewSource(
            collection=collection,
            sha256=sha256_of(number),
            width=160,
            height=120,
            format="jpeg",
            uri=uri,
            embedding=row,
            preview=preview,
        )
        [added] = catalog.add("pixels", [new]).items
        known[number] = Known(
            added.source.source_id, new.sha256, uri, row.astype("<f4").tobytes(), preview
        )
    return known


def files_below(folder):
    """Every file below a folder in which a service may remove files and folders meanwhile."""
    return [Path(place) / name for place, _, names in os.walk(folder) for name in names]


def files_with(folder, needle):
    """Every file below a folder that holds these bytes; one that a service removes has none."""
    found = []
    for path in files_below(folder):
        with suppress(FileNotFoundError):
            if needle in path.read_bytes():
                found.append(path)
    return found


def save_index(folder):
    """Write a snapshot of the index as a service does at its stop."""
    with Catalog.open(folder) as catalog:
        save_snapshot(open_index(catalog, PixelEncoder(), folder / "index"), folder / "index")
