"""A small data folder with real previews, an encoder of pixels, and processes killed at a point."""

import hashlib
import io
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import attribution.catalog
from attribution.catalog import Catalog, NewSource
from attribution.index import open_index, save_snapshot
from models.images.decoding import decode
from models.parts import Part, consecutive_parts

ROOT = Path(attribution.catalog.__file__).parents[2]
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
    rng = np.random.default_rng(number)
    image = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((160, 120))
    written = io.BytesIO()
    image.save(written, "JPEG", quality=90)
    return written.getvalue()


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


def files_with(folder, needle):
    """Every file below a folder that holds these bytes."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if needle in path.read_bytes()]


def save_index(folder):
    """Write a snapshot of the index as a service does at its stop."""
    with Catalog.open(folder) as catalog:
        save_snapshot(open_index(catalog, PixelEncoder(), folder / "index"), folder / "index")


@pytest.fixture
def folder(tmp_path) -> Path:
    """The data folder of twelve sources, closed, with an index snapshot."""
    place = tmp_path / "data"
    with Catalog.open(place) as catalog:
        catalog.put_collection("other")
        fill(catalog, range(12))
    save_index(place)
    return place


_CHILD = """
import importlib, os, signal, sys
from pathlib import Path

point, action, *given = sys.argv[1:]
module, _, name = point.partition(":")
*path, last = name.split(".")
owner = importlib.import_module(module)
for part in path:
    owner = getattr(owner, part)
setattr(owner, last, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))

from attribution.catalog import Catalog
from attribution.maintenance import back_up, erase, restore

folder = Path(given[0])
if action == "takedown":
    with Catalog.open(folder) as catalog:
        catalog.takedowns.take(sha256s=[given[1]], reason="a test")
        erase(catalog, folder, folder / "index")
elif action == "backup":
    with Catalog.open(folder) as catalog:
        back_up(catalog, folder, Path(given[1]))
else:
    restore(Path(given[1]), folder, snapshots=folder / "index", force=True)
"""


@pytest.fixture(scope="session")
def killed_at() -> Callable[..., None]:
    """``killed_at("module:Class.method", "takedown", folder, sha256)``: kill -9 at that call."""

    def run(point: str, action: str, *arguments: object) -> None:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, point, action, *map(str, arguments)],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr

    return run
