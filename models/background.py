"""Background images of an encoder: unrelated to any gallery, shipped as rows and thumbnails."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from models.checkpoints import BadCheckpoint, dequantise_rows, quantise_rows

BACKGROUND = "background.safetensors"
THUMBNAIL_SIDE = 16
Stratum = Literal[
    "photo", "generated", "laundered", "added-photo", "added-generated", "added-laundered"
]
STRATA: tuple[Stratum, ...] = get_args(Stratum)
"""Kinds of background image; a row's stratum is its place in this tuple. The last three are what an
operator has added, in the order of the first three."""
PHOTO, GENERATED, LAUNDERED = range(3)
_ADDED = 3


@dataclass(frozen=True, eq=False)
class Background:
    """Images known to have no source in the gallery, as one encoder sees them.

    Attributes:
        model_id: the encoder that made the rows.
        rows: `(n, query_dimension)` float32, embedded as queries.
        thumbnails: `(n, 16, 16)` uint8 luminance, to recognise copies of gallery images without
            asking the encoder. In every stratum it is that of the original picture: a gallery
            that holds it holds the source of what was made from it.
        strata: `(n,)` uint8 places in `STRATA`; by default every row is a `photo`.
    """

    model_id: str
    rows: NDArray[np.float32]
    thumbnails: NDArray[np.uint8]
    strata: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))

    def __post_init__(self) -> None:
        if not len(self.strata):
            object.__setattr__(self, "strata", np.full(len(self.rows), PHOTO, np.uint8))
        if not len(self.rows) == len(self.thumbnails) == len(self.strata):
            raise ValueError("a background has one thumbnail and one stratum for each row")
        if (self.strata >= len(STRATA)).any():
            raise ValueError(f"a stratum is a place in {STRATA}")

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def digest(self) -> str:
        """Hex sha256 of encoder, rows and strata: what a null is made of, but for its copies."""
        digest = hashlib.sha256(self.model_id.encode())
        digest.update(np.ascontiguousarray(self.rows).data)
        digest.update(np.ascontiguousarray(self.strata).data)
        return digest.hexdigest()


def merge(first: Background, second: Background) -> Background:
    """Both backgrounds as one, each stratum with the rows of both.

    Raises:
        ValueError: they are of different encoders, whose rows do not compare.
    """
    if first.model_id != second.model_id:
        raise ValueError(
            f"a background of encoder {second.model_id} cannot extend one of {first.model_id}"
        )
    return Background(
        first.model_id,
        np.concatenate([first.rows, second.rows]),
        np.concatenate([first.thumbnails, second.thumbnails]),
        np.concatenate([first.strata, second.strata]),
    )


def set_apart(added: Background, fewest: int) -> Background:
    """What an operator adds, in strata of its own where there are `fewest` rows of a kind or more.

    In one stratum with other images, its own would set the level for a few queries only: joined to
    5,000 photographs, 500 drawings that all score higher make the 1 % that alpha allows out of a
    tenth of the drawings.
    """
    large = np.bincount(added.strata, minlength=_ADDED)[added.strata] >= fewest
    apart = np.where(large & (added.strata < _ADDED), added.strata + _ADDED, added.strata)
    return replace(added, strata=apart.astype(np.uint8))


def thumbnail(image: Image.Image) -> NDArray[np.uint8]:
    """`(16, 16)` luminance of the whole picture, squashed."""
    small = image.convert("L").resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.uint8)


def write_background(path: Path, background: Background) -> None:
    """Write rows as int8 with a scale each, thumbnails and strata; whole or not at all."""
    values, scale = quantise_rows(background.rows)
    tensors = {
        "values": values,
        "scale": scale,
        "thumbnails": torch.from_numpy(background.thumbnails),
        "strata": torch.from_numpy(background.strata),
    }
    metadata = {"model_id": background.model_id, "strata": ",".join(STRATA)}
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_bytes(save(tensors, metadata=metadata))
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def read_background(path: Path) -> Background | None:
    """What `write_background` wrote, or None where there is no such file.

    A file from before there were strata holds photos.

    Raises:
        BadCheckpoint: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            rows = dequantise_rows(file.get_tensor("values"), file.get_tensor("scale"))
            thumbnails = file.get_tensor("thumbnails").numpy()
            strata = np.full(len(rows), PHOTO, np.uint8)
            if "strata" in metadata:
                places = [list[str](STRATA).index(name) for name in metadata["strata"].split(",")]
                strata = np.array(places, np.uint8)[file.get_tensor("strata").numpy()]
            return Background(metadata["model_id"], rows, thumbnails, strata)
    except (OSError, SafetensorError, KeyError, ValueError, IndexError) as error:
        raise BadCheckpoint(f"{path} cannot be read: {error}") from error
