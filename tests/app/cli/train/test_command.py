"""`attribution train`: a run too short to be good, whose encoder the other commands take."""

import json

import numpy as np
import pytest

from models.background import BACKGROUND, read_background
from models.checkpoints import load_backbone
from models.encoder import weights_digest

RECIPE = {
    "widths": [8, 16, 16, 32],
    "blocks": [1, 1, 1, 0],
    "image_side": 48,
    "batch": 16,
    "stages": [{"size": 32, "steps": 3}],
    "warmup": 1,
    "projection": 16,
    "checkpoint_every": 2,
}


@pytest.fixture(scope="module")
def folder(draw_pictures, tmp_path_factory):
    """Sixty pictures, and which fifteen of them are the background."""
    folder = tmp_path_factory.mktemp("training")
    draw_pictures(folder / "images", range(60))
    (folder / "held-out.txt").write_text("".join(f"{seed:03d}.jpg\n" for seed in range(45, 60)))
    (folder / "recipe.json").write_text(json.dumps(RECIPE))
    return folder


@pytest.fixture(scope="module")
def trained(attribution, folder):
    return attribution(
        *("train", folder / "images", "--out", folder / "run", "--config", folder / "recipe.json"),
        *("--background", folder / "held-out.txt", "--components", 8, "--name", "tiny"),
        *("--background-generated", 2, "--background-laundered", 3),
    )


def test_a_run_leaves_an_encoder_and_says_how_to_use_it(trained, folder):
    assert trained.code == 0, trained.err
    encoder = folder / "run" / "encoder"
    assert trained.out.startswith("45 images to train on, 15 ")
    assert "15 background images bear out no alpha below 0.062" in trained.err.replace("\n", " ")
    assert f"--encoder {encoder}" in trained.out
    card = json.loads((encoder / "card.json").read_text())
    assert card["name"] == "tiny"
    assert card["recipe"]["batch"] == 16
    assert [part["name"] for part in card["parts"]] == ["structure", "outline", "appearance"]
    background = read_background(encoder / BACKGROUND)
    assert np.bincount(background.strata).tolist() == [15, 2, 3]


def test_the_other_commands_take_its_encoder(attribution, trained, folder, draw_pictures, tmp_path):
    pictures = draw_pictures(tmp_path / "pictures", range(20))
    encoder = ("--encoder", folder / "run" / "encoder", "--data", tmp_path / "data")
    done = attribution("ingest", pictures, *encoder, "--json")
    assert done.document["added"] == 20, done.err
    done = attribution("query", pictures / "007.jpg", *encoder, "--json", "--alpha", "0.2")
    assert done.code == 0, done.err
    assert done.document["sources"][0]["uri"].endswith("007.jpg")
    assert done.document["calibration"]["state"] == "fresh"


def test_a_finished_run_is_not_trained_again(attribution, trained, folder, monkeypatch):
    before = json.loads((folder / "run" / "encoder" / "card.json").read_text())
    monkeypatch.setattr("attribution.training.run.trainer.draw_views", pytest.fail)
    done = attribution(
        *("train", folder / "images", "--out", folder / "run", "--config", folder / "recipe.json"),
        *("--background", folder / "held-out.txt", "--components", 8, "--name", "tiny"),
        *("--background-generated", 2, "--background-laundered", 3),
    )
    assert done.code == 0, done.err
    after = json.loads((folder / "run" / "encoder" / "card.json").read_text())
    assert after["parts"] == before["parts"]


def test_too_few_images_and_a_bad_option_are_named(attribution, folder, tmp_path):
    few = attribution("train", folder / "images", "--out", tmp_path / "few", "--steps", 1)
    assert few.code == 1
    assert "60 images are fewer than a batch of" in few.err
    odd = attribution("train", folder / "images", "--out", tmp_path / "odd", "--batch", 9)
    assert odd.code == 2
    assert odd.err == "--batch: Input should be a multiple of 2\n"


def test_names_that_are_no_text_and_archives_that_are_none_are_said(attribution, folder, tmp_path):
    images, run = folder / "images", ("--out", tmp_path / "run")
    picture = next(images.iterdir())
    names = attribution("train", images, *run, "--background", picture)
    assert (names.code, "one a line" in names.err) == (2, True)
    (tmp_path / "junk.tar").write_bytes(b"junk")
    junk = attribution("train", tmp_path / "junk.tar", *run)
    assert (junk.code, "is no tar file" in junk.err) == (1, True)


def test_a_recipe_with_a_misspelt_field_is_refused(attribution, folder, tmp_path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"btach": 16}')
    done = attribution("train", folder / "images", "-o", tmp_path / "run", "--config", recipe)
    assert done.code == 1
    assert "btach" in done.err
    assert not (tmp_path / "run").exists()


def test_a_head_alone_is_made_on_an_encoder_that_stays_as_it_is(attribution, trained, folder):
    start, made = folder / "run" / "encoder", folder / "head" / "encoder"
    done = attribution(
        *("train", folder / "images", "--out", folder / "head", "--scope", "head"),
        *("--from", start, "--head", "whiten", "--components", 8),
        *("--background", folder / "held-out.txt"),
        *("--background-generated", 0, "--background-laundered", 3),
    )
    assert done.code == 0, done.err
    assert done.out.startswith("45 images to fit on, 15 ")
    card = json.loads((made / "card.json").read_text())
    assert [(part["name"], part["head"]) for part in card["parts"]] == [("whole", "whiten")]
    first, second = load_backbone(start), load_backbone(made)
    assert weights_digest(first) == weights_digest(second)
    assert np.bincount(read_background(made / BACKGROUND).strata).tolist() == [15, 0, 3]


def test_options_of_the_wrong_scope_are_refused(attribution, folder, tmp_path):
    images, run = folder / "images", ("--out", tmp_path / "run")
    linear = attribution("train", images, *run, "--head", "linear")
    assert linear.code == 2
    assert "goes with --scope head" in linear.err
    head = ("--scope", "head")
    for option, value in {
        "--views": "plain",
        "--precision": "float32",
        "--held-out": 0,
        "--alignment": "moco",
        "--provenance-weight": 0.1,
        "--provenance-mask": "random",
        "--steps": 5,
        "--recipe": "paper",
        "--config": folder / "recipe.json",
        "--batch": 16,
        "--disentanglement": "koleo",
        "--disentanglement-weight": 0.5,
    }.items():
        done = attribution("train", images, *run, *head, option, value)
        assert (done.code, f"no {option}:" in done.err) == (2, True), option
    kept = attribution("train", images, *run, *head, "--head", "none", "--components", 8)
    assert kept.code == 2
    assert "leave out --components" in kept.err
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_replace_where_it_starts_from(attribution, trained, folder):
    start = folder / "run" / "encoder"
    before = (start / "card.json").read_bytes()
    done = attribution(
        *("train", folder / "images", "--out", folder / "run", "--scope", "head"),
        *("--from", start, "--head", "whiten", "--components", 8),
    )
    assert done.code == 2
    assert "another --out" in done.err
    assert (start / "card.json").read_bytes() == before


def test_images_that_cannot_be_read_are_listed_and_the_encoder_is_made_all_the_same(
    attribution, trained, folder, draw_pictures, tmp_path
):
    images = draw_pictures(tmp_path / "images", range(30))
    (images / "003.jpg").write_text("no picture")
    done = attribution(
        *("train", images, "--out", tmp_path / "run", "--scope", "head", "--components", 8),
        *("--from", folder / "run" / "encoder"),
    )
    assert done.code == 1, done.err
    assert any(line.startswith("left out 003.jpg: ") for line in done.err.splitlines())
    assert done.err.splitlines()[-1].startswith("1 image was left out")
    assert (tmp_path / "run" / "encoder" / "card.json").is_file()
