"""The background that an operator adds to the encoder's own, in the data folder.

Knows files and encoders; how a background is made is known where it is made.
"""

from __future__ import annotations

import os
from pathlib import Path

from attribution.opening.place import Place
from models.background import Background, merge, read_background, set_apart, write_background
from models.checkpoints import BadCheckpoint
from models.encoder import Encoder
from models.loading import encoder_folder, load_encoder_background

Stamp = tuple[int, ...]
FEWEST_APART = 200
"""Added images of a kind from which they are judged apart from those that ship with the encoder.
Twice what a stratum needs for an alpha of 0.01, so that a hundred copies of sources among them do
not forbid every decision."""


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

    A running service takes them up.
    """
    path = extension_path(data, added.model_id)
    write_background(path, added)
    return path


def extended(shipped: Background | None, added: Background | None) -> Background | None:
    """The encoder's own background with what was added, or whichever there is."""
    if shipped is None or added is None:
        return added or shipped
    return merge(shipped, set_apart(added, FEWEST_APART))


def load_whole_background(place: Place, encoder: Encoder) -> Background | None:
    """What ships with the encoder of this place, with what was added to it.

    Raises:
        BadCheckpoint: a file is damaged, of another encoder, or gone with the encoder's folder.
    """
    if os.sep in place.encoder and encoder_folder(place.encoder) is None:
        raise BadCheckpoint(f"{place.encoder} holds no encoder any more")
    shipped = load_encoder_background(place.encoder, encoder)
    return extended(shipped, load_extension(place.data, encoder))


def extension_stamp(data: Path, model_id: str) -> Stamp | None:
    """Changes whenever another file lies there; None for none."""
    try:
        found = extension_path(data, model_id).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
