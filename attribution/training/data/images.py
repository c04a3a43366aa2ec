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

from models.images.decoding import decode
from models.images.errors import ImageError
from models.images.formats import IMAGE_SUFFIXES

logger = logging.getLogger(__name__)
_BLOCK = 256


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
) -> ImageSet:
    """Read every image of the given folders and tar files, in the order of their names.

    Args:
        paths: folders (searched recursively, tar files in them too), `.tar` files or single images.
        side: each image is squashed to `side x side` pixels.
        exclude: names (within its folder or tar) that are left out, to hold images out.
        on_read: called with the number of images read so far.

    Raises:
        NoImages: nothing readable was found.
    """
    return read_set(
        paths,
        wanted=lambda name: name not in exclude,
        convert=lambda data: _squashed(data, side),
        on_read=on_read,
    )


def read_set(
    paths: Sequence[Path],
    *,
    wanted: Callable[[str], bool],
    convert: Callable[[bytes], Tensor],
    on_read: Callable[[int], None] | None = None,
) -> ImageSet:
    """Read the wanted images of folders and tar files; those that cannot be read are left out.

    Args:
        paths: folders (searched recursively, tar files in them too), `.tar` files or single images.
        wanted: by name within its folder or tar.
        convert: a file's bytes to `(3, height, width)` uint8; raises ImageError.
        on_read: called with the number of images read so far.

    Raises:
        NoImages: nothing readable was found.
    """

    def read(item: tuple[str, bytes]) -> tuple[str, Tensor] | None:
        name, data = item
        try:
            return name, convert(data)
        except ImageError as error:
            logger.warning("%s left out: %s", name, error)
            return None

    found: list[tuple[str, Tensor]] = []
    waiting = (item for path in paths for item in members(path) if wanted(item[0]))
    with ThreadPoolExecutor(max_workers=2) as pool:
        while block := list(islice(waiting, _BLOCK)):  # the pool would drain the whole iterator
            for item in pool.map(read, block):
                if item is None:
                    continue
                found.append(item)
                if on_read is not None:
                    on_read(len(found))
    if not found:
        raise NoImages(f"no readable image in {', '.join(map(str, paths))}")
    names, rows = zip(*found, strict=True)
    return ImageSet(torch.stack(rows), names)


def member_names(paths: Sequence[Path]) -> frozenset[str]:
    """Names of all images of folders and tar files, without reading them."""
    names: set[str] = set()
    for path in paths:
        if path.suffix == ".tar" and path.is_file():
            with _archive(path) as archive:
                names.update(member.name for member in archive if member.isfile())
        elif path.is_dir():
            names.update(file.relative_to(path).as_posix() for file in _files(path))
            names.update(member_names(_archives_of(path)))
        else:
            names.add(path.name)
    return frozenset(name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES)


def read_pictures(paths: Sequence[Path], only: frozenset[str]) -> Iterator[Image.Image]:
    """The images of these names as pictures, decoded as a query is."""
    for path in paths:
        for name, data in members(path):
            if name not in only:
                continue
            try:
                yield decode(data).image
            except ImageError as error:
                logger.warning("%s left out: %s", name, error)


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the image files in a folder or tar file, in the order they are read.

    Those of a folder's tar files follow its own.
    """
    if path.is_dir():
        for file in _files(path):
            name = file.relative_to(path).as_posix()
            try:
                data = file.read_bytes()
            except OSError as error:
                logger.warning("%s left out: %s", name, error.strerror)
                continue
            yield name, data
        for archive in _archives_of(path):
            yield from members(archive)
    elif path.suffix == ".tar":
        with _archive(path) as opened:
            files = sorted((m for m in opened if m.isfile()), key=lambda member: member.name)
            for member in files:
                stream = opened.extractfile(member)
                if stream is not None and Path(member.name).suffix.lower() in IMAGE_SUFFIXES:
                    yield member.name, stream.read()
    elif path.is_file():
        yield path.name, path.read_bytes()
    else:
        raise NoImages(f"{path}: no such folder, tar file or image")


def _files(folder: Path) -> list[Path]:
    """By name; a folder called `a.png` is none, nor is a link that leads nowhere."""
    images = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(path for path in images if _is_file(path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # a link into a folder that is closed
        logger.warning("%s left out: %s", path, error.strerror)
        return False


def _archives_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.tar") if path.is_file())


@contextmanager
def _archive(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path) as archive:
            yield archive
    except tarfile.TarError as error:
        raise NoImages(f"{path} is no tar file, or damaged: {error}") from error


def _squashed(data: bytes, side: int) -> Tensor:
    image = decode(data, target_side=2 * side).image
    small = image.resize((side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(small, dtype=np.uint8).transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(pixels))
