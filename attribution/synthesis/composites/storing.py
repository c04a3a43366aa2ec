"""Provenance beside image files: an 8-bit grey PNG of the mask, and a row of the manifest.

A row has `query`, `sources` and `mask`, paths relative to the manifest. The mask is as large as the
query: 255 where a pixel is the first source's, 0 where it is the second's, or edited.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Mask = npt.NDArray[np.float32]


class BadProvenance(ValueError):
    """Stored provenance that cannot be read; names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Provenance:
    """What is stored of one composite.

    Attributes:
        query: file of the composite.
        mask: `(h, w)` in [0, 1], the share of the first source in each pixel.
        sources: files of the sources; one where the rest was edited.
    """

    query: Path
    mask: Mask
    sources: tuple[Path, ...]


def mask_file(image: str) -> str:
    """Where the mask of an image lies: `queries/00001.png` has `queries/00001.mask.png`."""
    return str(Path(image).with_suffix(".mask.png"))


def write_mask(mask: Mask, path: Path) -> None:
    """Keep a `(h, w)` mask in [0, 1] to the nearest of 256 steps."""
    Image.fromarray((mask.clip(0, 1) * 255).round().astype(np.uint8)).save(path, "PNG")


def read_mask(path: Path) -> Mask:
    """A mask that was kept, `(h, w)` in [0, 1].

    Raises:
        BadProvenance: no such file, or none of 8-bit grey.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
    except OSError as error:
        raise BadProvenance(f"{path}: cannot be read as a PNG ({error})") from error
    if image.mode != "L":
        raise BadProvenance(f"{path}: a mask is an 8-bit grey image, not {image.mode}")
    return np.asarray(image, np.float32) / np.float32(255)


def read_provenance(manifest: Path) -> Iterator[Provenance]:
    """The rows of a manifest that have a mask, in order.

    Raises:
        BadProvenance: a row or its mask cannot be read, or mask and query differ in size.
    """
    folder = manifest.parent
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), start=1):
        place = f"{manifest}, line {number}"
        try:
            row = json.loads(line)
            if "mask" not in row:
                continue
            query, mask = folder / row["query"], read_mask(folder / row["mask"])
            sources = tuple(folder / source["image"] for source in row["sources"])
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, BadProvenance):
                raise
            raise BadProvenance(f"{place}: no row of a composite ({error!r})") from error
        with Image.open(query) as image:
            size = image.size
        if size != mask.shape[::-1]:
            raise BadProvenance(f"{place}: a mask of {mask.shape[::-1]} for a query of {size}")
        yield Provenance(query, mask, sources)
