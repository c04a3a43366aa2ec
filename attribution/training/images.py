"""The unlabelled images of a training run: read once, kept small in memory."""

from __future__ import annotations

import hashlib
import logging
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from models.decoding import IMAGE_SUFFIXES, ImageError, decode

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
        digest.update(self.pixels.numpy().tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, rows: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """The images of these rows as float32 in [0, 1]."""
        return self.pixels[rows].to(device).float().div_(255.0)

    def subset(self, rows: Sequence[int]) -> ImageSet:
        """The images of these rows, copied."""
        return ImageSet(self.pixels[list(rows)], tuple(self.names[row] for row in rows))


def read_images(
    paths: Sequence[Path],
    *,
    side: int,
    exclude: frozenset[str] = frozenset(),
    on_read: Callable[[int], None] | None = None,
) -> ImageSet:
    """Read every image of the given folders and tar files, in the order of their names.

    Args:
        paths: folders (searched recursively), `.tar` files or single images.
        side: each image is squashed to `side x side` pixels.
        exclude: names (within its folder or tar) that are left out, to hold images out.
        on_read: called with the number of images read so far.

    Raises:
        NoImages: nothing readable was found.
    """
    names: list[str] = []
    rows: list[NDArray[np.uint8]] = []
    waiting = (item for path in paths for item in members(path) if item[0] not in exclude)
    with ThreadPoolExecutor(max_workers=2) as pool:
        while block := list(islice(waiting, _BLOCK)):  # the pool would drain the whole iterator
            for name, row in pool.map(
                lambda item: (item[0], _square(item[0], item[1], side)), block
            ):
                if row is None:
                    continue
                names.append(name)
                rows.append(row)
                if on_read is not None:
                    on_read(len(rows))
    if not rows:
        raise NoImages(f"no readable image in {', '.join(map(str, paths))}")
    return ImageSet(torch.from_numpy(np.stack(rows)), tuple(names))


def member_names(paths: Sequence[Path]) -> frozenset[str]:
    """Names of all images of folders and tar files, without reading them."""
    names: set[str] = set()
    for path in paths:
        if path.suffix == ".tar" and path.is_file():
            with tarfile.open(path) as archive:
                names.update(member.name for member in archive if member.isfile())
        elif path.is_dir():
            names.update(file.relative_to(path).as_posix() for file in path.rglob("*"))
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
    """Names and bytes of the image files in a folder or tar file, in the order they are read."""
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES):
            yield file.relative_to(path).as_posix(), file.read_bytes()
    elif path.suffix == ".tar":
        with tarfile.open(path) as archive:
            files = sorted((m for m in archive if m.isfile()), key=lambda member: member.name)
            for member in files:
                stream = archive.extractfile(member)
                if stream is not None and Path(member.name).suffix.lower() in IMAGE_SUFFIXES:
                    yield member.name, stream.read()
    elif path.is_file():
        yield path.name, path.read_bytes()
    else:
        raise NoImages(f"{path}: no such folder, tar file or image")


def _square(name: str, data: bytes, side: int) -> NDArray[np.uint8] | None:
    try:
        image = decode(data, target_side=2 * side).image
    except ImageError as error:
        logger.warning("%s left out: %s", name, error)
        return None
    small = image.resize((side, side), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(small, dtype=np.uint8).transpose(2, 0, 1))
