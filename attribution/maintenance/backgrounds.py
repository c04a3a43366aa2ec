"""The added background images' vectors: files that go along in backups; knows no encoder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from attribution.files import flush, replacing
from models.background import read_background
from models.checkpoints import BadCheckpoint
from models.digests import sha256_of

FOLDER = "background"
_PATTERN = "*.safetensors"
_ASIDE = ".partial"


def copy_backgrounds(source: Path, target: Path) -> dict[str, str]:
    """Copy the files of `source`, where there are any, into `target`; hex sha256 by name.

    Each takes the place of one of its name in one step; `target`'s others stay.
    """
    digests: dict[str, str] = {}
    for path in sorted(source.glob(_PATTERN)):
        target.mkdir(parents=True, exist_ok=True)
        copy, aside = target / path.name, target / f"{path.name}{_ASIDE}"
        with path.open("rb") as data, replacing(copy, aside=aside) as file:
            shutil.copyfileobj(data, file)
        digests[path.name] = sha256_of(copy)
    if digests:
        flush(target)
        flush(target.parent)
    return digests


def unreadable(folder: Path) -> Iterator[str]:
    """Of each file that is damaged, or of another encoder than its name says, what is wrong."""
    for path in sorted(folder.glob(_PATTERN)):
        try:
            found = read_background(path)
        except BadCheckpoint as error:
            yield str(error)
        else:
            if found is not None and found.model_id != path.stem:
                yield f"{path} was made by encoder {found.model_id}"


def altered(folder: Path, digests: Mapping[str, str]) -> tuple[str, ...]:
    """Names in `digests` whose file is not there or not as it was, and files that are not named."""
    found = {path.name: sha256_of(path) for path in folder.glob(_PATTERN)}
    return tuple(sorted(name for name, _ in found.items() ^ digests.items()))
