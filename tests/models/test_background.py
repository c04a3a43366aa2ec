"""Backgrounds on disk: strata, merging, old files, damage."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.background import (
    BACKGROUND,
    GENERATED,
    LAUNDERED,
    PHOTO,
    Background,
    merge,
    read_background,
    write_background,
)
from models.checkpoints import BadCheckpoint, quantise_rows


def background(n=6, seed=0, strata=(PHOTO, PHOTO, PHOTO, GENERATED, LAUNDERED, LAUNDERED)):
    rng = np.random.default_rng(seed)
    return Background(
        "an encoder",
        rng.normal(size=(n, 9)).astype(np.float32),
        rng.integers(0, 256, (n, 16, 16), dtype=np.uint8),
        np.array(strata, np.uint8),
    )


def test_strata_and_thumbnails_come_back_exactly_and_rows_nearly(tmp_path):
    given = background()
    write_background(tmp_path / BACKGROUND, given)
    loaded = read_background(tmp_path / BACKGROUND)
    assert loaded is not None
    assert loaded.model_id == "an encoder"
    assert np.array_equal(loaded.strata, given.strata)
    assert np.array_equal(loaded.thumbnails, given.thumbnails)
    assert np.allclose(loaded.rows, given.rows, atol=0.02)


def test_a_file_from_before_there_were_strata_holds_photos(tmp_path):
    given = background()
    values, scale = quantise_rows(given.rows)
    save_file(
        {"values": values, "scale": scale, "thumbnails": torch.from_numpy(given.thumbnails)},
        tmp_path / "old.safetensors",
        metadata={"model_id": "an encoder"},
    )
    old = read_background(tmp_path / "old.safetensors")
    assert old is not None
    assert old.strata.tolist() == [PHOTO] * 6


def test_strata_are_stored_by_name(tmp_path):
    """So that a file outlives a change of their order."""
    given = background()
    values, scale = quantise_rows(given.rows)
    save_file(
        {
            "values": values, "scale": scale, "thumbnails": torch.from_numpy(given.thumbnails),
            "strata": torch.tensor([0, 0, 1, 1, 0, 0], dtype=torch.uint8),
        },
        tmp_path / "file.safetensors",
        metadata={"model_id": "an encoder", "strata": "laundered,photo"},
    )  # fmt: skip
    loaded = read_background(tmp_path / "file.safetensors")
    assert loaded is not None
    assert loaded.strata.tolist() == [LAUNDERED] * 2 + [PHOTO] * 2 + [LAUNDERED] * 2


def test_merging_keeps_the_rows_of_both():
    first, second = background(), background(2, 1, (GENERATED, PHOTO))
    both = merge(first, second)
    assert len(both) == 8
    assert np.array_equal(both.rows, np.concatenate([first.rows, second.rows]))
    assert both.strata.tolist() == [*first.strata, *second.strata]
    stranger = Background("another", second.rows, second.thumbnails, second.strata)
    with pytest.raises(ValueError, match="another cannot extend one of an encoder"):
        merge(first, stranger)


def test_rows_without_strata_are_photos_and_lengths_must_agree():
    given = background()
    assert Background("x", given.rows, given.thumbnails).strata.tolist() == [PHOTO] * 6
    with pytest.raises(ValueError, match="one thumbnail and one stratum"):
        Background("x", given.rows, given.thumbnails[:3])
    with pytest.raises(ValueError, match="a place in"):
        Background("x", given.rows, given.thumbnails, np.full(6, 9, np.uint8))


def test_a_write_that_fails_leaves_the_file_before_it(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "b.safetensors"
    write_background(path, background())
    before = path.read_bytes()
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("no space"))
    )
    with pytest.raises(OSError, match="no space"):
        write_background(path, background(seed=3))
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["b.safetensors"]


@pytest.mark.parametrize("damage", ["cut", "strata"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "b.safetensors"
    write_background(path, background())
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(data.replace(b"photo,generated", b"photo,generateD"))
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        read_background(path)
