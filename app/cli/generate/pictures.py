"""The pictures that synthetic images are made from: files, or sources of a collection."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from app.cli.console import note
from app.cli.failures import BadInvocation
from app.settings import Settings
from attribution.catalog import Catalog, Source
from attribution.files import regular_file
from attribution.ingestion import ManifestRow, read_manifest
from attribution.rehearsal.examples import UnreadablePicture
from attribution.rehearsal.held import choose, picture_of
from models.images.decoding import decode
from models.images.errors import ImageError


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to make images from.

    Attributes:
        name: of letters, digits, `_` and `-`, unique.
        group: its collection, or the folder that it lies in.
        image: RGB.
        source_id: of the source whose preview it is; None for a file.
    """

    name: str
    group: str
    image: Image.Image
    source_id: str | None = None


def from_files(path: Path, limit: int | None) -> tuple[list[Picture], list[str]]:
    """Pictures of a folder or manifest, and a line for each that was skipped."""
    skipped: list[str] = []
    pictures: list[Picture] = []
    taken: Counter[str] = Counter()
    unread = 0
    for row in read_manifest(path):
        if len(pictures) == limit:
            unread += isinstance(row, ManifestRow)
            continue
        if not isinstance(row, ManifestRow):
            skipped.append(f"{row.path}: {row.told}")
            continue
        try:
            image = decode(regular_file(row.path).read_bytes()).image
        except (ImageError, OSError) as error:
            skipped.append(f"{row.path}: {error}")
            continue
        name = _unique(row.path.stem, taken)
        pictures.append(Picture(name, _group_of(row, path), image))
    if unread:
        note(f"{unread} further pictures are not read: --limit {limit}")
    return pictures, skipped


def _group_of(row: ManifestRow, path: Path) -> str:
    """The collection that a manifest names, else the folder, from the one that was given on."""
    if row.collection != "default":
        return _plain(row.collection)
    folder, root = row.path.parent, path if path.is_dir() else path.parent
    within = folder.relative_to(root) if folder.is_relative_to(root) else Path(folder.name)
    return _plain("-".join(within.parts) or folder.name)


def from_collection(
    settings: Settings, collection: str, limit: int | None, *, seed: int
) -> tuple[list[Picture], list[str]]:
    """Previews of sources of a collection, drawn at random where there are more than `limit`.

    Raises:
        BadInvocation: the collection holds nothing.
    """
    with Catalog.existing(settings.data, url=settings.database_url) as catalog:
        chosen = choose(
            catalog, limit or sys.maxsize, seed=seed, collections=frozenset({collection})
        )
        if not chosen:
            raise BadInvocation(f"--collection {collection}: there is no source in it")
        unread = catalog.collection(collection).sources - len(chosen)
        if unread > 0 and len(chosen) == limit:  # else they are copies of those
            note(f"{unread} further sources are not taken: --limit {limit}")
        return from_sources(catalog, chosen)


def from_sources(catalog: Catalog, chosen: Sequence[Source]) -> tuple[list[Picture], list[str]]:
    """Previews of these sources, and a line for each that cannot be read."""
    pictures: list[Picture] = []
    skipped: list[str] = []
    for source in chosen:
        try:
            image = picture_of(catalog, source)
        except UnreadablePicture as error:
            skipped.append(str(error))
            continue
        name, group = _plain(source.source_id), _plain(source.collection)
        pictures.append(Picture(name, group, image, source.source_id))
    return pictures, skipped


def _unique(stem: str, taken: Counter[str]) -> str:
    name = _plain(stem)
    taken[name] += 1
    return name if taken[name] == 1 else f"{name}-{taken[name]}"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "image"
