"""Objects and grounds out of a folder of tar files, cut out once and kept beside the runs.

`index.jsonl` has a row a picture: `file`, `set`, `label`. Objects come from the sets `pacs` and
`caltech101`; a class is used when it has many that can be cut out exactly. Grounds are textures
(`dtd10`) and photographs of things that are no class here.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from objects import Object, segmented
from PIL import Image
from refusals import Unusable

from attribution.training.data.images import members
from models.images.decoding import decode
from models.images.errors import ImageError

KINDS = ("banded", "airplanes", "cobwebbed", "Faces")
"""Of ground, by label: two of textures and two of photographs."""
EACH = 120
LONGEST = 96
"""Pixels of what is kept of a picture."""
_SETS = ("pacs", "caltech101")
Pixels = NDArray[np.uint8]


def name_of(pool: Path | None) -> str:
    """What tells one pool from another, in settings and in names of files."""
    if pool is None:
        return "drawn"
    rows_of(pool)  # refused before any folder is begun
    return f"pool-{hashlib.sha256(_index(pool).encode()).hexdigest()[:8]}"


def rows_of(pool: Path) -> dict[str, dict[str, Any]]:
    """The rows of `index.jsonl` by their `file`.

    Raises:
        Unusable: there is no such table, or it is another one.
    """
    try:
        rows = [json.loads(line) for line in _index(pool).splitlines()]
        return {str(row["file"]): row for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(
            f"{pool / 'index.jsonl'} is no table of pictures ({error}): each line is a JSON object "
            "with file, set and label"
        ) from error


def _index(pool: Path) -> str:
    try:
        return (pool / "index.jsonl").read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(
            f"{pool / 'index.jsonl'} cannot be read: give a folder of tar files with this table, "
            "or leave --pool out"
        ) from error


def objects_and_grounds(
    pool: Path, kept: Path, classes: int
) -> tuple[list[Object], list[list[Pixels]]]:
    """Objects of the classes that have most, and pictures of `KINDS`.

    Args:
        pool: the folder.
        kept: file that what was cut out lies in, or is written to.
        classes: how many.

    Raises:
        Unusable: the pool has fewer classes.
    """
    if not kept.exists():
        _cut(pool, kept)
    with np.load(kept) as found:
        labels, kinds = found["labels"].tolist(), found["kinds"].tolist()
        if len(set(labels)) < classes:
            raise Unusable(
                f"out of {pool} objects of {len(set(labels))} classes can be cut, fewer than "
                f"{classes}: give another pool or leave --pool out, and delete {kept}"
            )
        counts = dict(Counter(labels).most_common(classes))
        shown = ", ".join(f"{label} {count}" for label, count in counts.items())
        print(f"objects cut out of {len(set(labels))} classes; most of: {shown}")
        objects = [
            Object(label, *_opened(found[f"object{number}"]))
            for number, label in enumerate(labels)
            if label in counts
        ]
        grounds: list[list[Pixels]] = [[] for _ in KINDS]
        for number, kind in enumerate(kinds):
            grounds[KINDS.index(kind)].append(_picture(found[f"ground{number}"]))
    return objects, grounds


def _cut(pool: Path, kept: Path) -> None:
    known = rows_of(pool)
    labels: list[str] = []
    kinds: list[str] = []
    arrays: dict[str, Pixels] = {}
    for archive in sorted(pool.glob("*.tar")):
        for name, data in members(archive):
            row = known.get(name, {"set": "", "label": ""})
            ground = row["label"] in KINDS and kinds.count(row["label"]) < EACH
            if not ground and row["set"] not in _SETS:
                continue
            try:
                picture = decode(data).image.convert("RGB")
            except ImageError:
                continue
            if ground:
                arrays[f"ground{len(kinds)}"] = _file(picture)
                kinds.append(row["label"])
            elif (matte := segmented(picture)) is not None:
                arrays[f"object{len(labels)}"] = _file(picture, matte)
                labels.append(row["label"])
    part = kept.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, labels=np.array(labels), kinds=np.array(kinds), **arrays)
    part.replace(kept)


def _file(picture: Image.Image, matte: NDArray[np.bool_] | None = None) -> Pixels:
    """A picture, not larger than `LONGEST`, as a file with its matte as opacity."""
    if matte is not None:
        picture = picture.copy()
        picture.putalpha(Image.fromarray(matte).convert("L"))
    scale = min(1.0, LONGEST / max(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    red_green_blue = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    if matte is not None:
        red_green_blue.putalpha(picture.getchannel("A").resize(size, Image.Resampling.NEAREST))
    written = io.BytesIO()
    red_green_blue.save(written, "PNG")
    return np.frombuffer(written.getvalue(), np.uint8)


def _picture(file: Pixels) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(file.tobytes())))


def _opened(file: Pixels) -> tuple[Pixels, NDArray[np.bool_]]:
    picture = _picture(file)
    return picture[..., :3], picture[..., 3] > 127


def parted(
    grounds: Sequence[Sequence[Pixels]],
) -> tuple[list[list[Pixels]], list[list[Pixels]]]:
    """Pictures of each kind to train with, and others to test with."""
    return [list(each[::2]) for each in grounds], [list(each[1::2]) for each in grounds]
