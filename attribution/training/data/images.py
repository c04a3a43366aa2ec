"""The unlabelled images of a training run: read once, kept small in memory."""

from __future__ import annotations

import hashlib
import logging
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from attribution.ingestion.archives import ArchiveDamaged, Member, open_tar, pictures_in, read
from attribution.ingestion.folders import Found, LeftOut, is_picture, walk
from attribution.ingestion.rows import as_text
from models.images.decoding import DEFAULT_LIMITS, decode
from models.images.errors import DecodingLimits, ImageError

logger = logging.getLogger(__name__)
_BLOCK = 256
OnLeftOut = Callable[[str, str], object]


def log_left_out(name: str, reason: str) -> None:
    """What is done about an image that is left out, where nothing else is said."""
    logger.warning("%s left out: %s", name, reason)


class NoImages(ValueError):
    """The paths given hold too few readable images to train on."""


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images squashed to squares: `pixels` is `(n, 3, side, side)` uint8, `names` their names."""

    pixels: Tensor
    names: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Hash of names and pixels: another set of images is another run."""
        digest = hashlib.sha256("\n".join(self.names).encode())
        digest.update(self.pixels.contiguous().numpy().data)  # not copied: it is gigabytes
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, rows: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """The images of these rows as float32 in [0, 1]."""
        return self.pixels[rows].to(device).float().div_(255.0)


def read_images(
    paths: Sequence[Path],
    *,
    side: int,
    exclude: frozenset[str] = frozenset(),
    on_read: Callable[[int], None] | None = None,
    on_left_out: OnLeftOut = log_left_out,
) -> ImageSet:
    """Read every image of the given folders and tar files, in the order of their names.

    Args:
        paths: folders (searched recursively, tar files in them too), `.tar` files or single images.
        side: each image is squashed to `side x side` pixels.
        exclude: names (within its folder or tar) that are left out, to hold images out.
        on_read: called with the number of images read so far.
        on_left_out: called with the name of an image that cannot be read, and why.

    Raises:
        NoImages: nothing readable was found.
    """
    return read_set(
        paths,
        wanted=lambda name: name not in exclude,
        convert=lambda data: _squashed(data, side),
        on_read=on_read,
        on_left_out=on_left_out,
    )


def read_set(
    paths: Sequence[Path],
    *,
    wanted: Callable[[str], bool],
    convert: Callable[[bytes], Tensor],
    on_read: Callable[[int], None] | None = None,
    on_left_out: OnLeftOut = log_left_out,
) -> ImageSet:
    """Read the wanted images of folders and tar files; those that cannot be read are left out.

    Args:
        paths: folders (searched recursively, tar files in them too), `.tar` files or single images.
        wanted: by name within its folder or tar.
        convert: a file's bytes to `(3, height, width)` uint8; raises ImageError.
        on_read: called with the number of images read so far.
        on_left_out: called with the name of an image that cannot be read, and why.

    Raises:
        NoImages: nothing readable was found.
    """

    def read(item: tuple[str, bytes]) -> tuple[str, Tensor | ImageError]:
        name, data = item
        try:
            return name, convert(data)
        except ImageError as error:
            return name, error

    found: list[tuple[str, Tensor]] = []
    complaints: list[str] = []

    def leave_out(name: str, reason: str) -> None:
        complaints.append(f"{name}: {reason}")
        on_left_out(name, reason)

    waiting = (item for path in paths for item in members(path, leave_out) if wanted(item[0]))
    with ThreadPoolExecutor(max_workers=2) as pool:
        while block := list(islice(waiting, _BLOCK)):  # the pool would drain the whole iterator
            for name, pixels in pool.map(read, block):
                if isinstance(pixels, ImageError):
                    leave_out(name, str(pixels))
                    continue
                found.append((name, pixels))
                if on_read is not None:
                    on_read(len(found))
    if not found:
        first = f": the first left out is {complaints[0]}" if complaints else ""
        raise NoImages(f"no readable image in {', '.join(map(str, paths))}{first}")
    names, rows = zip(*found, strict=True)
    return ImageSet(torch.stack(rows), names)


def member_names(paths: Sequence[Path]) -> frozenset[str]:
    """Names of all images of folders and tar files, without reading them."""
    names: set[str] = set()
    for path in paths:
        if path.suffix == ".tar" and path.is_file():
            with _archive(path) as archive:
                names.update(as_text(member.name) for member in _pictures(archive, lambda *_: None))
        elif path.is_dir():
            files, archives = _contents(path, lambda *_: None)
            names.update(as_text(file.relative_to(path)) for file in files)
            names.update(member_names(archives))
        elif is_picture(path):
            names.add(as_text(path.name))
    return frozenset(names)


def read_pictures(
    paths: Sequence[Path],
    only: frozenset[str] | None = None,
    on_left_out: OnLeftOut = log_left_out,
    *,
    limits: DecodingLimits = DEFAULT_LIMITS,
) -> Iterator[Image.Image]:
    """The images of these names, or all, as pictures, decoded as a query is."""
    for path in paths:
        for name, data in members(path, on_left_out):
            if only is not None and name not in only:
                continue
            try:
                yield decode(data, limits=limits).image
            except ImageError as error:
                on_left_out(name, str(error))


def members(path: Path, on_left_out: OnLeftOut = log_left_out) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the image files in a folder or tar file, in the order they are read.

    Content decides what is one, as on ingest. Those of a folder's tar files follow its own.
    """
    if path.is_dir():
        files, archives = _contents(path, on_left_out)
        yield from _read(files, path, on_left_out)
        for archive in archives:
            yield from members(archive, on_left_out)
    elif path.suffix == ".tar":
        with _archive(path) as opened:
            for member in _pictures(opened, on_left_out):
                yield as_text(member.name), read(opened, member.content)
    elif path.is_file():
        yield from _read([path], path.parent, on_left_out)
    else:
        raise NoImages(f"{path}: no such folder, tar file or image")


def _read(
    files: Sequence[Path], folder: Path, on_left_out: OnLeftOut
) -> Iterator[tuple[str, bytes]]:
    for file in files:
        name = as_text(file.relative_to(folder))
        try:
            data = file.read_bytes()
        except OSError as error:
            on_left_out(name, f"cannot be read ({error.strerror or error})")
            continue
        yield name, data


def _contents(folder: Path, on_left_out: OnLeftOut) -> tuple[list[Path], list[Path]]:
    """Pictures and tar files in a folder and in the folders in it, each sorted."""
    pictures, archives = [], []
    for entry in walk(folder):
        if isinstance(entry, Found):
            pictures.append(entry.path)
        elif isinstance(entry, LeftOut):
            name = folder if entry.path == folder else entry.path.relative_to(folder)
            on_left_out(as_text(name), entry.reason)
        elif entry.path.suffix == ".tar" and entry.path.is_file():
            archives.append(entry.path)
    return pictures, archives


def _pictures(archive: tarfile.TarFile, on_left_out: OnLeftOut) -> Iterator[Member]:
    for entry in pictures_in(archive):
        if isinstance(entry, Member):
            yield entry
        else:
            on_left_out(as_text(entry.path), entry.reason)


@contextmanager
def _archive(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with open_tar(path) as archive:
            yield archive
    except ArchiveDamaged as error:
        raise NoImages(str(error)) from error


def _squashed(data: bytes, side: int) -> Tensor:
    image = decode(data, target_side=2 * side).image
    small = image.resize((side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(small, dtype=np.uint8).transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(pixels))
