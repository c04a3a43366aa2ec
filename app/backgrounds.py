"""The background that an operator adds to the encoder's own, in the data folder.

Knows files and encoders; how a background is made is known where it is made.
"""

from __future__ import annotations

from pathlib import Path

from models.background import Background, merge, read_background, write_background
from models.checkpoints import BadCheckpoint
from models.encoder import Encoder


def extension_path(data: Path, model_id: str) -> Path:
    """Where the rows that an operator has added for this encoder are."""
    return data / "background" / f"{model_id}.safetensors"


def load_extension(data: Path, encoder: Encoder) -> Background | None:
    """What an operator has added for this encoder, or None.

    Raises:
        BadCheckpoint: the file is damaged, or of another encoder.
    """
    path = extension_path(data, encoder.model_id)
    try:
        added = read_background(path)
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{error}; delete it, and run `attribution calibrate` again") from error
    if added is None:
        return None
    columns = added.rows.shape[1]
    if added.model_id != encoder.model_id or columns != encoder.query_dimension:
        raise BadCheckpoint(f"{path} was made by encoder {added.model_id}, not {encoder.model_id}")
    return added


def save_extension(data: Path, added: Background) -> Path:
    """Put rows in the place of what was added before; returns where they are.

    A running service goes on with what it has opened.
    """
    path = extension_path(data, added.model_id)
    write_background(path, added)
    return path


def extended(shipped: Background | None, added: Background | None) -> Background | None:
    """The encoder's own background with what was added, or whichever there is."""
    if shipped is None or added is None:
        return added or shipped
    return merge(shipped, added)
