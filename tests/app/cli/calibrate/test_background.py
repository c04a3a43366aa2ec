"""What an operator adds to the background is kept where it leaves something to compare with."""

import numpy as np
import pytest

from app.cli.calibrate.background import _each_once, keep_addition
from app.cli.failures import BadInvocation
from app.settings import Settings
from attribution.calibration import StratumNull
from attribution.opening.background import load_extension
from models import load_encoder
from models.background import GENERATED, PHOTO, Background


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


def background(encoder, thumbnails, strata):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(len(strata), encoder.query_dimension)).astype(np.float32)
    pictures = np.repeat(np.uint8(thumbnails), 256).reshape(-1, 16, 16)
    return Background(encoder.model_id, rows, pictures, np.uint8(strata))


def test_a_picture_given_several_times_counts_once_in_each_stratum(encoder):
    given = background(
        encoder,
        [3, 1, 3, 2, 1, 1, 3],
        [PHOTO, PHOTO, PHOTO, PHOTO, GENERATED, GENERATED, GENERATED],
    )
    kept = _each_once(given)
    assert kept.strata.tolist() == [PHOTO] * 3 + [GENERATED] * 2
    assert kept.thumbnails[:, 0, 0].tolist() == [3, 1, 2, 1, 3]
    assert np.array_equal(kept.rows, given.rows[[0, 1, 3, 4, 6]])


def test_images_that_are_held_as_sources_are_no_background(encoder, tmp_path):
    settings = Settings(data=tmp_path)
    added = background(encoder, range(200), [PHOTO] * 200)
    shipped = StratumNull("photo", np.zeros(40, np.float32), copies=5_000)
    mostly_held = StratumNull("added-photo", np.zeros(40, np.float32), copies=160)
    with pytest.raises(BadInvocation, match="160 of 200 images are held here as sources"):
        keep_addition(settings, added, (shipped, mostly_held), tmp_path / "folder")
    assert load_extension(tmp_path, encoder) is None
    partly_held = StratumNull("added-photo", np.zeros(120, np.float32), copies=80)
    keep_addition(settings, added, (shipped, partly_held), tmp_path / "folder")
    assert len(load_extension(tmp_path, encoder)) == 200
