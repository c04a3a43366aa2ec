"""An index on disk, so that a start need not rebuild it: written whole or not at all, read warily.

It must not know the catalog: who opens an index (`opening.py`) says what a snapshot has to match.

Layout of a snapshot folder::

    CURRENT                 "00000007 <sha256 of its manifest>"
    00000007/manifest.json  size and sha256 of every file, whose vectors, which generation
    00000007/*.npy, *.faiss
    00000007/beside-*.npy   what somebody keeps beside the index (`companion.py`)

A snapshot is written into a folder of another name, flushed to disk, renamed, and only then named
by CURRENT, itself replaced atomically. A process killed at any point leaves the old snapshot or the
new one. CURRENT vouches for the manifest and the manifest for the files, so that no byte reaches
FAISS's reader, which trusts its input, unless it is the byte that was written.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attribution.files import flush, replacing, write_flushed
from attribution.index import companion as beside
from attribution.index.companion import Companion
from attribution.index.embedded import EmbeddedIndex
from attribution.index.faiss_structure import KIND, Structure
from attribution.index.manifest import (
    FORMAT,
    WHOLE_ROWS,
    Owner,
    SnapshotAbsent,
    SnapshotRefused,
    check_file,
    current,
    current_of,
)
from attribution.index.segment import Matrices, Segment, cut
from attribution.index.sizing import DEFAULT_SIZING, Sizing
from attribution.index.view import View
from models.digests import sha256_of
from models.parts import Part

log = logging.getLogger(__name__)

SEGMENTS = ("base", "tail")
ARRAYS = ("ids", "codes", "live")


def save_snapshot(index: EmbeddedIndex, folder: Path, companion: Companion | None = None) -> int:
    """Write the index as it is now and return its generation; changes may go on meanwhile.

    One process at a time may save into a folder. Rows removed but not yet compacted are written
    as dead: `EmbeddedIndex.compact` first, where they must leave the disk.

    Args:
        index: to be saved.
        folder: of the snapshots.
        companion: saved with it. Where it lags behind the index, it bounds the generation up to
            which the snapshot is said to hold nothing that was removed.

    Raises:
        OSError: it cannot be written, with `ENOSPC` for a full disk; the one before still stands.
    """
    clean = index.clean_generation  # before the view: compaction may end between the two
    view = index.view
    if not view.base.removed + view.tail.removed:
        clean = view.generation
    if companion is not None:
        clean = min(clean, companion.generation)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{max((int(old.name) for old in _numbered(folder)), default=0) + 1:08d}"
    aside = folder / f"{name}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        _write_view(view, index.parts, aside)
        if companion is not None:
            companion.write(aside)
        owner = Owner(index.model_id, index.dimension, index.parts, index.epoch)
        manifest = _write_manifest(view, owner, aside, companion, clean=clean)
        aside.rename(folder / name)
    except (OSError, RuntimeError) as error:
        # NumPy and FAISS tell of a full disk in words of their own, without its number.
        least = _least_size(view) + (0 if companion is None else companion.nbytes)
        full = shutil.disk_usage(folder).free < least
        shutil.rmtree(aside, ignore_errors=True)
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
        if isinstance(error, RuntimeError):
            raise OSError(errno.EIO, str(error), str(folder)) from error
        raise
    flush(folder)
    with replacing(folder / "CURRENT", aside=folder / "CURRENT.partial") as file:
        file.write(f"{name} {manifest}\n".encode("ascii"))
    flush(folder)
    for old in (*_numbered(folder), *folder.glob("*.partial")):
        if old.name != name:
            shutil.rmtree(old, ignore_errors=True)
    log.info("saved index snapshot %s at generation %d", name, view.generation)
    return view.generation


def load_snapshot(folder: Path, owner: Owner, *, sizing: Sizing = DEFAULT_SIZING) -> EmbeddedIndex:
    """The index that was saved, if every byte is as written and the vectors are the owner's.

    Raises:
        SnapshotAbsent: nothing was saved here.
        SnapshotRefused: damaged, or of another encoder, epoch or format.
    """
    named, manifest = current_of(folder, owner)
    for name, (size, sha256) in manifest["files"].items():
        if not beside.is_beside(name):
            check_file(named / name, size, sha256)
    try:
        view = _read_view(named, manifest, owner.parts)
    except (OSError, ValueError, RuntimeError) as error:
        raise SnapshotRefused(f"it cannot be read: {error}") from error
    if view.structure is not None and sizing.scans(len(view.base)):
        view = replace(view, structure=None)  # saved when smaller bases were thought to need one
    index = EmbeddedIndex(
        owner.parts,
        owner.dimension,
        owner.model_id,
        owner.epoch,
        sizing=sizing,
        view=view,
        clean_generation=manifest.get("clean", 0),
    )
    index.compact_if_due()
    return index


def load_companion(folder: Path, owner: Owner, wanted: beside.Owner | None = None) -> Companion:
    """What `wanted` has saved beside the snapshot of `owner`, if every byte is as written.

    Args:
        folder: of the snapshots.
        owner: of the snapshot.
        wanted: whose it must be; None for anybody's.

    Raises:
        SnapshotAbsent: there is no snapshot, or nothing beside it.
        SnapshotRefused: damaged, or of another encoder, epoch or owner.
    """
    named, manifest = current_of(folder, owner)
    described = manifest.get("companion")
    if described is None:
        raise SnapshotAbsent("there is nothing beside it")
    if wanted is not None and described["owner"] != dict(wanted):
        raise SnapshotRefused("what is beside it was made by another background or rule")
    for name, (size, sha256) in manifest["files"].items():
        if beside.is_beside(name):
            check_file(named / name, size, sha256)
    try:
        return Companion.read(named, described)
    except (OSError, ValueError) as error:
        raise SnapshotRefused(f"what is beside it cannot be read: {error}") from error


def holds_removed(folder: Path, generation: int) -> bool:
    """Whether a snapshot here may hold rows of what was removed up to a generation."""
    if not folder.is_dir():
        return False
    present = [path for path in folder.iterdir() if path.is_dir()]
    if len(present) != 1:
        return bool(present)
    try:
        named, manifest = current(folder)
    except SnapshotRefused:
        return True
    return named != present[0] or manifest.get("clean", -1) < generation


def remove_snapshots(folder: Path) -> None:
    """Remove whatever snapshots are here, sound or not; the next start builds the index anew."""
    if not folder.is_dir():
        return
    (folder / "CURRENT").unlink(missing_ok=True)
    flush(folder)
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    flush(folder)


def _least_size(view: View) -> int:
    """Bytes that a snapshot has at least."""
    segments: tuple[Segment, Segment] = (view.base, view.tail)
    sizes = [array.nbytes for segment in segments for array in _arrays(segment).values()]
    return 1 + int(sum(sizes))


def _arrays(segment: Segment) -> dict[str, NDArray[Any]]:
    """What is written of a segment, by the end of the file's name."""
    parts = {f"part-{place}": matrix for place, matrix in enumerate(segment.matrices)}
    return {name: getattr(segment, name) for name in ARRAYS} | parts


def _write_view(view: View, parts: tuple[Part, ...], folder: Path) -> None:
    for name in SEGMENTS:
        for end, array in _arrays(getattr(view, name)).items():
            np.save(folder / f"{name}-{end}.npy", array, allow_pickle=False)
    if view.structure is not None:
        view.structure.save(folder, parts)


def _write_manifest(
    view: View, owner: Owner, folder: Path, companion: Companion | None, *, clean: int
) -> str:
    """Flush every file, describe it, and return the sha256 of the description."""
    files = {}
    for path in sorted(folder.iterdir()):
        flush(path)
        files[path.name] = [path.stat().st_size, sha256_of(path)]
    structure = view.structure
    manifest = {
        "format": FORMAT,
        "owner": owner.described(),
        "generation": view.generation,
        "clean": clean,
        "names": view.names,
        "ascending": {name: getattr(view, name).ascending for name in SEGMENTS},
        "structure": None
        if structure is None
        else {"kind": KIND, "recall": structure.recall_at_10},
        "companion": None if companion is None else companion.described(),
        "files": files,
    }
    path = folder / "manifest.json"
    write_flushed(path, json.dumps(manifest, indent=1).encode())
    flush(folder)
    return sha256_of(path)


def _read_view(folder: Path, manifest: dict[str, Any], parts: tuple[Part, ...]) -> View:
    segments = {}
    for name in SEGMENTS:
        matrices = _read_matrices(
            folder, name, parts, whole=manifest["format"] == WHOLE_ROWS,
            mapped=manifest["structure"] is not None and name == "base",
        )  # fmt: skip
        arrays = {array: _read(folder, f"{name}-{array}") for array in ARRAYS}
        ascending = manifest["ascending"][name]
        segments[name] = Segment(matrices=matrices, **arrays, ascending=ascending)
    return View(
        parts=parts,
        base=segments["base"],
        structure=_read_structure(folder, manifest["structure"], parts),
        tail=segments["tail"],
        names=tuple(manifest["names"]),
        generation=manifest["generation"],
    )


def _read_structure(
    folder: Path, described: dict[str, Any] | None, parts: tuple[Part, ...]
) -> Structure | None:
    if described is None:
        return None
    if described["kind"] != KIND:
        raise ValueError(f"its rows are searched by {described['kind']}, which is no longer used")
    return Structure.load(folder, parts, recall=described["recall"])


def _read_matrices(
    folder: Path, name: str, parts: tuple[Part, ...], *, whole: bool, mapped: bool
) -> Matrices:
    """Mapped ones are read from the disk as they are compared, and memory need not hold them."""
    if whole:
        return cut(_read(folder, f"{name}-rows"), parts)
    names = [f"{name}-part-{place}" for place in range(len(parts))]
    return tuple(_read(folder, each, mapped=mapped) for each in names)


def _read(folder: Path, name: str, *, mapped: bool = False) -> NDArray[Any]:
    array = np.load(folder / f"{name}.npy", mmap_mode="r" if mapped else None, allow_pickle=False)
    return np.asarray(array)


def _numbered(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and path.name.isdecimal()]
