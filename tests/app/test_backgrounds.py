"""What an operator adds to the background is found again, and only by its own encoder."""

import numpy as np
import pytest

from app.backgrounds import extended, extension_path, load_extension, save_extension
from models.background import Background
from models.checkpoints import BadCheckpoint


def added(encoder, n=5):
    rows = np.random.default_rng(0).normal(size=(n, encoder.query_dimension)).astype(np.float32)
    return Background(encoder.model_id, rows, np.zeros((n, 16, 16), np.uint8))


def test_added_rows_are_found_and_join_the_shipped_ones(tmp_path, encoder, background):
    assert load_extension(tmp_path, encoder) is None
    path = save_extension(tmp_path, added(encoder))
    assert path == extension_path(tmp_path, encoder.model_id)
    found = load_extension(tmp_path, encoder)
    assert len(found) == 5
    assert len(extended(background, found)) == len(background) + 5
    assert extended(None, found) is found
    assert extended(background, None) is background
    assert extended(None, None) is None
    save_extension(tmp_path, added(encoder, 2))
    assert len(load_extension(tmp_path, encoder)) == 2


def test_a_damaged_file_says_what_to_do(tmp_path, encoder):
    path = save_extension(tmp_path, added(encoder))
    path.write_bytes(b"nothing")
    with pytest.raises(BadCheckpoint, match="delete it, and run `attribution calibrate` again"):
        load_extension(tmp_path, encoder)


def test_rows_of_another_encoder_are_refused(tmp_path, encoder):
    stranger = added(encoder)
    path = save_extension(tmp_path, Background("stranger", stranger.rows, stranger.thumbnails))
    path.rename(extension_path(tmp_path, encoder.model_id))
    with pytest.raises(BadCheckpoint, match="made by encoder stranger"):
        load_extension(tmp_path, encoder)
