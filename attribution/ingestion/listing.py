"""What of a folder that is known by an address is to be read: pictures, and tar files of some.

Knows no pictures but by the endings of their names: to look into each file would fetch it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from attribution.ingestion.addresses import system_of
from attribution.ingestion.folders import kept_by_a_system, named_as_picture
from attribution.ingestion.rows import ManifestProblem, ManifestRow, ManifestUnreadable
from attribution.ingestion.shards import Shard, named_as_tar


def read_address(
    address: str, *, collection: str = "default"
) -> Iterator[ManifestRow | ManifestProblem | Shard]:
    """The pictures and tar files of a folder, and of those in it; or one tar file.

    They come sorted by folder; `path` of a row begins at the folder, and `uri` is its own address.
    Memory holds the names in the folders that are open.

    Args:
        address: of the folder, or of the tar file.
        collection: of the rows.

    Raises:
        ManifestUnreadable: there is neither, or a password is in the address; at once, not with
            the first row.
        ImportError: what reads such an address is not installed.
    """
    if urlsplit(address).password:
        raise ManifestUnreadable(
            "a password is in the address, which would be kept as the name of every source: leave "
            "it out, and let fsspec find it (its configuration, or the store's own variables)"
        )
    system, root = system_of(address)
    try:
        info = system.info(root)
    except Exception as error:  # each store has its own
        raise ManifestUnreadable(f"{address} cannot be read ({error})") from error
    if info["type"] == "directory":
        return _walk(system, root, root, collection)
    if named_as_tar(root):
        name = Path(PurePosixPath(root).name)
        return iter([Shard(system.unstrip_protocol(root), name, collection)])
    raise ManifestUnreadable(
        f"{address} is neither a folder nor a tar file: of one picture, or a manifest, give the "
        "folder, or bring it here"
    )


def _walk(
    system: Any, root: str, folder: str, collection: str
) -> Iterator[ManifestRow | ManifestProblem | Shard]:
    start = root.rstrip("/")
    try:
        entries = sorted(system.ls(folder, detail=True), key=lambda entry: str(entry["name"]))
    except Exception as error:  # noqa: BLE001  # each store has its own; it is told
        name = folder.removeprefix(start).strip("/") or "."
        yield ManifestProblem(0, f"cannot be read ({error})", Path(name))
        return
    for entry in entries:
        whole = str(entry["name"])
        path = Path(whole.removeprefix(start).strip("/"))
        if whole.rstrip("/") == folder.rstrip("/"):  # a store's mark of the folder itself
            continue
        if entry["type"] == "directory":
            if (kept := kept_by_a_system(path.name)) is None:
                yield from _walk(system, root, whole, collection)
            else:
                yield ManifestProblem(0, kept, path)
        elif path.name.startswith("."):
            if named_as_picture(path) and not path.name.startswith("._"):
                yield ManifestProblem(0, "a hidden file: rename it", path)
        elif named_as_picture(path):
            named = system.unstrip_protocol(whole)
            yield ManifestRow(path, named, collection, address=named)
        elif named_as_tar(whole):
            yield Shard(system.unstrip_protocol(whole), path, collection)
