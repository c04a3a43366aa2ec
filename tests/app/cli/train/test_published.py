"""`attribution train --recipe paper` on official files of published backbones, made small."""

import json
from dataclasses import replace

import pytest
import torch

from app.cli.calibrate.background import make_addition
from app.settings import Settings
from attribution.opening.background import save_extension
from attribution.opening.load import load_vision
from attribution.synthesis.background import StrataSizes
from attribution.training.recipe.recipes import shipped
from models.background import BACKGROUND, read_background
from models.checkpoints import load_encoder_folder
from models.images.preprocessing import Preprocessing
from models.published import registry
from tests.support.tiny_backbones import RESNET, VIT

NAMES = ("dino-vits16", "mocov3-vits16", "dino-resnet50", "sscd-resnet50")
SMALL = Preprocessing(64, 64, "centre-crop", 0.875, "bicubic", (0.485, 0.456, 0.406))


@pytest.fixture(scope="module", autouse=True)
def _small_networks():
    """The published names, with networks and pictures of a few numbers each."""
    small = {
        name: replace(
            registry.PUBLISHED[name],
            options=RESNET if "resnet" in name else VIT,
            dimension=512 if "sscd" in name else 32,
            preprocessing=SMALL,
        )
        for name in NAMES
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "PUBLISHED", {**registry.PUBLISHED, **small})
        yield


@pytest.fixture(scope="module")
def folder(draw_pictures, tmp_path_factory):
    """Sixty pictures, which fifteen of them are the background, and official files."""
    folder = tmp_path_factory.mktemp("published")
    draw_pictures(folder / "images", range(60))
    (folder / "held-out.txt").write_text("".join(f"{seed:03d}.jpg\n" for seed in range(45, 60)))
    quick = shipped("paper").read_text().replace("size: 112", "size: 32")
    (folder / "quick.yaml").write_text(quick)
    for name in NAMES:
        torch.manual_seed(1)
        state = registry.without_weights(name).network.state_dict()
        if "vit" in name:  # so small at first that all pictures look alike
            state = {
                key: 5 * value if value.ndim > 1 and key.endswith("weight") else value
                for key, value in state.items()
            }
        if name.startswith("mocov3"):
            state = {f"module.base_encoder.{key}": value for key, value in state.items()}
            state = {"epoch": 300, "arch": "vit_small", "state_dict": state}
        torch.save(state, folder / f"{name}.pth")
    return folder


def train(attribution, folder, name, out, *options, recipe=("--recipe", "paper")):
    return attribution(
        *("train", folder / "images", *recipe, "--from", name, "--out", out),
        *("--weights", folder / f"{name}.pth", "--background", folder / "held-out.txt"),
        *("--background-generated", 0, "--background-laundered", 3),
        *("--batch", 16, "--steps", 6, "--held-out", 0, *options),
    )


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def dino(attribution, folder):
    """A run of the last two blocks, on cached views."""
    run = folder / "dino"
    cached = ("--scope", "last-2", "--cached-views", 1)
    return train(attribution, folder, "dino-vits16", run, *cached), run


def test_both_stages_leave_an_encoder_and_each_tells_its_terms(dino, folder):
    done, run = dino
    assert done.code == 0, done.err
    assert done.out.startswith("alignment: 45 images to train on, 15 ")
    assert f"Views of frozen blocks: {(2 * 8 * 4) * 50 * 32 * 2 + 2:,} bytes in" in done.out
    assert not (run / "views").exists()
    first, second = lines(run)
    assert (first["phase"], first["step"], second["phase"]) == ("alignment", 4, "disentanglement")
    assert {"train/semantics", "train/loss"} <= first.keys()
    assert "train/logdet" not in first
    assert {"train/semantics", "train/logdet"} <= second.keys()
    assert not [name for name in second if "structure" in name or "appearance" in name]
    encoder = load_encoder_folder(run / "encoder")
    assert (encoder.card.backbone.name, encoder.card.preprocessing) == ("dino-vits16", SMALL)
    assert encoder.card.licence == "Apache-2.0"
    assert len(encoder.reference) == 45
    phases = encoder.card.recipe["phases"]
    assert [phases[name]["projector"] for name in phases] == ["mlp", "none"]
    assert [phases[name]["role_weight"] for name in phases] == [0.0, 0.0]
    assert read_background(run / "encoder" / BACKGROUND).strata.tolist() == [0] * 15 + [2] * 3
    start = registry.build("dino-vits16", weights=folder / "dino-vits16.pth").network.state_dict()
    kept = encoder.backbone.network.state_dict()
    same = {name for name, value in start.items() if torch.equal(kept[name], value.half().float())}
    assert {name.split(".")[1] for name in start.keys() - same if "." in name} >= {"1", "2"}
    assert not [name for name in start.keys() - same if name.startswith(("blocks.0.", "patch"))]


def test_its_encoder_ingests_serves_decides_and_is_reembedded(
    attribution, dino, folder, draw_pictures, tmp_path, monkeypatch
):
    _, run = dino
    pictures = draw_pictures(tmp_path / "pictures", range(20))
    data = ("--data", tmp_path / "data")
    encoder = ("--encoder", run / "encoder", *data)
    assert attribution("ingest", pictures, *encoder, "--json").document["added"] == 20
    done = attribution("query", pictures / "007.jpg", *encoder, "--json", "--alpha", 0.3)
    assert done.code == 0, done.err
    assert done.document["calibration"]["state"] == "fresh"
    assert done.document["decision"] is not None
    assert done.document["sources"][0]["uri"].endswith("007.jpg")
    monkeypatch.setenv("ATTRIBUTION_ENCODER", str(run / "encoder"))
    weights = ("--weights", folder / "dino-vits16.pth")
    moved = attribution("reembed", "dino-vits16", *weights, *data, "--activate", "--json")
    assert moved.code == 0, moved.err
    assert "`attribution calibrate --background FOLDER`" in moved.err.replace("\n", " ")


def test_a_run_killed_between_the_stages_ends_in_the_same_encoder(
    attribution, dino, folder, monkeypatch
):
    from attribution.training.run import trainer  # noqa: PLC0415

    _, whole = dino
    run, save, saved = folder / "killed", trainer.save_run, []
    cached = ("--scope", "last-2", "--cached-views", 1)

    def killed(*given):
        save(*given)
        saved.append(given)
        raise KeyboardInterrupt

    for _ in range(2):  # at the end of either stage
        with monkeypatch.context() as patch:
            patch.setattr(trainer, "save_run", killed)
            assert train(attribution, folder, "dino-vits16", run, *cached).code == 130
        assert (run / "views").exists()
    assert [str(folder.name) for *_, folder in saved] == ["alignment", "disentanglement"]
    done = train(attribution, folder, "dino-vits16", run, *cached)
    assert done.code == 0, done.err
    assert load_encoder_folder(run / "encoder").model_id == (
        load_encoder_folder(whole / "encoder").model_id
    )
    assert [line["train/loss"] for line in lines(run)] == [
        line["train/loss"] for line in lines(whole)
    ]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mocov3-vits16", ("--head", "cca", "--components", 8)),
        ("dino-resnet50", ("--alignment", "dino", "--local-crops", 2)),
        ("sscd-resnet50", ("--alignment", "moco")),
    ],
)
def test_other_official_files_are_trained_whole(attribution, folder, name, options):
    run = folder / name
    quick = ("--config", folder / "quick.yaml")
    done = train(attribution, folder, name, run, *options, recipe=quick)
    assert done.code == 0, done.err
    encoder = load_encoder_folder(run / "encoder")
    parts = [(part.name, part.head) for part in encoder.card.parts]
    expected = [("structure", "cca"), ("appearance", "cca")]
    assert parts == (expected if "cca" in options else [("whole", "none")])
    again = attribution(  # and further, as an encoder's folder
        *("train", folder / "images", "--from", run / "encoder", "--out", folder / f"{name}-2"),
        *(
            "--config",
            folder / "quick.yaml",
            "--steps",
            2,
            "--batch",
            16,
            "--head",
            "none",
            "--held-out",
            0,
        ),
    )
    assert again.code == 0, again.err


def test_the_projects_own_network_goes_through_both_stages(attribution, folder, small_encoder):
    run = folder / "own"
    done = attribution(
        *("train", folder / "images", "--config", folder / "quick.yaml", "--from", small_encoder),
        *("--out", run, "--batch", 16, "--steps", 4, "--held-out", 0),
    )
    assert done.code == 0, done.err
    assert [line["phase"] for line in lines(run)] == ["alignment", "disentanglement"]
    assert "train/appearance" in lines(run)[0]


@pytest.mark.parametrize("name", ["dino-vits16", "mocov3-vits16"])
def test_a_backbone_as_it_is_decides_after_the_command_that_its_answer_names(
    attribution, folder, draw_pictures, tmp_path, name, monkeypatch
):
    pictures = draw_pictures(tmp_path / "pictures", range(60))
    others = draw_pictures(tmp_path / "others", range(500, 620))
    quick = StrataSizes(generated=0, laundered=0)  # generating takes a second a picture
    monkeypatch.setattr("app.cli.calibrate.background.StrataSizes", lambda: quick)
    encoder = ("--encoder", name, "--weights", folder / f"{name}.pth", "--data", tmp_path / "data")
    assert attribution("ingest", pictures, *encoder, "--json").document["added"] == 60
    before = attribution("query", pictures / "007.jpg", *encoder)
    assert "`attribution calibrate --background FOLDER`" in before.out.replace("\n", " ")
    settings = Settings(
        data=tmp_path / "data", encoder=name, encoder_weights=folder / f"{name}.pth"
    )
    # What that command does before it fits shares, which takes a minute.
    save_extension(settings.data, make_addition(load_vision(settings), others, pytest.fail))
    after = attribution("query", pictures / "007.jpg", *encoder, "--json", "--alpha", 0.05)
    assert after.document["calibration"]["state"] == "fresh"
    assert after.document["decision"] is not None


def test_a_head_recipe_makes_a_head_alone(attribution, folder):
    done = attribution(
        *("train", folder / "images", "--recipe", "head", "--from", "dino-vits16"),
        *("--weights", folder / "dino-vits16.pth", "--out", folder / "head", "--components", 8),
    )
    assert done.code == 0, done.err
    assert load_encoder_folder(folder / "head" / "encoder").card.recipe["epochs"] == 20
