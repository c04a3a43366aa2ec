"""What an operator adds to the background is found again, and only by its own encoder."""

import numpy as np
import pytest

from attribution.calibration.null import null_of
from attribution.opening.background import (
    FEWEST_APART,
    extended,
    extension_path,
    extension_stamp,
    load_extension,
    save_extension,
)
from models.background import STRATA, Background
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


def test_the_promise_holds_for_queries_like_those_that_were_added(encoder, background):
    """500 images that all score higher, as drawings may, among thousands that do not."""
    count = FEWEST_APART
    whole = extended(background, added(encoder, count))
    kinds = [STRATA[place] for place in np.unique(whole.strata)]
    assert kinds[-1] == "added-photo"
    assert (whole.strata == STRATA.index("added-photo")).sum() == count
    rng = np.random.default_rng(0)
    ordinary, drawings = rng.normal(0, 1, len(background)), rng.normal(3, 1, count)
    null = null_of(
        np.concatenate([ordinary, drawings]).astype(np.float32), whole.strata,
        np.zeros(len(whole), bool), 0,
    )  # fmt: skip
    p_values = null.p_values(rng.normal(3, 1, 20_000).astype(np.float32))
    for alpha in (0.1, 0.05, 0.01):
        allowed = (count + 1) * alpha // 1 / (count + 1)
        assert (p_values <= alpha).mean() <= allowed + 3 * np.sqrt(alpha / count)


def test_few_added_images_join_those_that_ship(encoder, background):
    whole = extended(background, added(encoder, FEWEST_APART - 1))
    assert set(whole.strata.tolist()) == set(background.strata.tolist())


def test_the_stamp_tells_one_file_from_the_next(tmp_path, encoder):
    stamps = [extension_stamp(tmp_path, encoder.model_id)]
    assert stamps == [None]
    for count in (5, 6, 6):
        save_extension(tmp_path, added(encoder, count))
        stamps.append(extension_stamp(tmp_path, encoder.model_id))
    assert len(set(stamps)) == 4


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
