"""Background images of an encoder: unrelated to any gallery, shipped as rows and thumbnails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from models.checkpoints import BadCheckpoint, dequantise_rows, quantise_rows

BACKGROUND = "background.safetensors"
THUMBNAIL_SIDE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """Images known to have no source in the gallery, as one encoder sees them.

    Attributes:
        model_id: the encoder that made the rows.
        rows: `(n, query_dimension)` float32, embedded as queries.
        thumbnails: `(n, 16, 16)` uint8 luminance, to recognise copies of gallery images without
            asking the encoder.
    """

    model_id: str
    rows: NDArray[np.float32]
    thumbnails: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)


def thumbnail(image: Image.Image) -> NDArray[np.uint8]:
    """`(16, 16)` luminance of the whole picture, squashed."""
    small = image.convert("L").resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.uint8)


def save_background(folder: Path, background: Background) -> None:
    """Write rows as int8 with a scale each, and thumbnails, beside the encoder's files."""
    values, scale = quantise_rows(background.rows)
    tensors = {
        "values": values,
        "scale": scale,
        "thumbnails": torch.from_numpy(background.thumbnails),
    }
    metadata = {"model_id": background.model_id}
    (folder / BACKGROUND).write_bytes(save(tensors, metadata=metadata))


def load_background(folder: Path) -> Background | None:
    """The background of an encoder folder, or None where none ships.

    Raises:
        BadCheckpoint: the file is damaged.
    """
    path = folder / BACKGROUND
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            model_id = (file.metadata() or {})["model_id"]
            rows = dequantise_rows(file.get_tensor("values"), file.get_tensor("scale"))
            thumbnails = file.get_tensor("thumbnails").numpy()
    except (OSError, SafetensorError, KeyError) as error:
        raise BadCheckpoint(f"{path} cannot be read: {error}") from error
    return Background(model_id, rows, thumbnails)
