"""What a snapshot says of itself, and whether it can be believed; knows no index.

See `snapshot.py` for what lies where.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.digests import sha256_of
from models.parts import Part

FORMAT = 2
WHOLE_ROWS = 1  # an earlier format, whose rows lie whole in `*-rows.npy`; still read


class SnapshotRefused(Exception):
    """A snapshot cannot be trusted or is of other vectors: rebuild."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the index snapshot was refused: {reason}")


class SnapshotAbsent(SnapshotRefused):
    """There is no snapshot yet."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose vectors a snapshot must hold: this encoder's, under this epoch of the catalog."""

    model_id: str
    dimension: int
    parts: tuple[Part, ...]
    epoch: str

    def described(self) -> dict[str, Any]:
        """The same as it stands in a manifest."""
        parts = [[part.name, part.start, part.stop] for part in self.parts]
        return {**asdict(self), "parts": parts}


def current_of(folder: Path, owner: Owner) -> tuple[Path, dict[str, Any]]:
    """`current`, if it is of a format that we read and holds the owner's vectors.

    Raises:
        SnapshotAbsent, SnapshotRefused: as `current`, and where it does not.
    """
    named, manifest = current(folder)
    if manifest.get("format") not in (WHOLE_ROWS, FORMAT):
        raise SnapshotRefused(f"its format is {manifest.get('format')}, not {FORMAT}")
    for key, expected in owner.described().items():
        if manifest["owner"][key] != expected:
            raise SnapshotRefused(f"its {key} is {manifest['owner'][key]!r}, not {expected!r}")
    return named, manifest


def current(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of the snapshot that CURRENT names, and its manifest.

    Raises:
        SnapshotAbsent, SnapshotRefused: there is none; it cannot be believed.
    """
    try:
        name, sha256 = (folder / "CURRENT").read_text(encoding="ascii").split()
    except FileNotFoundError:
        raise SnapshotAbsent("there is none") from None
    except (OSError, ValueError) as error:
        raise SnapshotRefused(f"CURRENT cannot be read: {error}") from error
    if not name.isdecimal():
        raise SnapshotRefused("CURRENT does not name a snapshot")
    try:
        written = (folder / name / "manifest.json").read_bytes()
    except OSError as error:
        raise SnapshotRefused(f"its manifest cannot be read: {error}") from error
    if hashlib.sha256(written).hexdigest() != sha256:
        raise SnapshotRefused("its manifest is not the one that CURRENT names")
    return folder / name, json.loads(written)


def check_file(path: Path, size: int, sha256: str) -> None:
    """Make sure that a file is byte for byte as a manifest says.

    Raises:
        SnapshotRefused: it is not.
    """
    try:
        found = path.stat().st_size
        if found != size:
            raise SnapshotRefused(f"{path.name} has {found} bytes, not {size}")
        if sha256_of(path) != sha256:
            raise SnapshotRefused(f"the bytes of {path.name} are not those written")
    except OSError as error:
        raise SnapshotRefused(f"{path.name} cannot be read: {error}") from error
