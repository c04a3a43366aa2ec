"""`attribution evaluate`: tables, JSON and pictures from a small folder, and what is refused."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch

from app.cli.evaluate.command import chosen_conditions
from app.cli.evaluate.methods import fitting_images
from app.cli.images import ImagesLeftOut
from models.backbones.residual import ResidualNet
from models.card import BackboneCard, Card, PartCard
from models.checkpoints import save_encoder
from models.heads import AffineMap, HeadPart
from models.images.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """Folder of an untrained encoder: copies are found by any."""
    folder = tmp_path_factory.mktemp("encoder")
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    net = ResidualNet((8, 8, 16, 16), (1, 0, 1, 0)).eval()
    names = ("structure", "appearance")
    weights = [torch.randn(net.dimension, 12, generator=generator) for _ in names]
    maps = [AffineMap(torch.zeros(net.dimension), weight) for weight in weights]
    card = Card(
        name="small",
        backbone=BackboneCard(name="residual", widths=net.widths, blocks=net.blocks),
        preprocessing=Preprocessing(height=64, width=64),
        parts=tuple(PartCard(name=name, head="cca", dimension=12) for name in names),
        fusion="harmonic-mean-p",
    )
    reference = np.random.default_rng(0).normal(size=(30, 24)).astype(np.float32)
    parts = [HeadPart(*each) for each in zip(names, maps, strict=True)]
    save_encoder(folder, card, net, parts, reference=reference)
    return folder


@pytest.fixture(scope="module")
def evaluate(attribution, encoder):
    return lambda *arguments: attribution("evaluate", *arguments, "--encoder", encoder)


@pytest.fixture(scope="module")
def data(draw_pictures, tmp_path_factory):
    """Six queries, each a copy of its source; eight distractors."""
    folder = tmp_path_factory.mktemp("bench")
    draw_pictures(folder / "sources", range(6))
    draw_pictures(folder / "queries", range(6))
    draw_pictures(folder / "distractors", range(20, 28))
    rows = [
        {
            "query": f"queries/{n:03d}.jpg",
            "sources": [{"image": f"sources/{n:03d}.jpg", "role": "exemplar"}],
            "set": "even" if n % 2 == 0 else "odd",
            "method": "copy",
        }
        for n in range(6)
    ]
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return tmp_path_factory.mktemp("out") / "new"


@pytest.fixture(scope="module")
def evaluated(evaluate, data, written):
    return evaluate(
        *(data, "--distractors", data / "distractors", "--condition", "clean"),
        *("--condition", "laundered", "--mirrored", "--baseline", "colour-histogram"),
        *("--per-method", "--out", written),
    )


def test_it_prints_figures_differences_and_what_was_run(evaluated):
    assert evaluated.code == 0, evaluated.err
    text = " ".join(evaluated.out.split())
    for title in ("clean queries", "laundered queries", "mAP minus that of small"):
        assert title in text
    assert "6 queries, 6 sources, 8 distractors; protocol open" in text
    assert "cut at rank 100" in text
    assert "by copy" in text
    assert "too few to diagnose" in evaluated.err  # six pairs


def test_copies_are_found_and_json_and_pictures_are_written(evaluated, written):
    assert evaluated.code == 0, evaluated.err
    document = json.loads((written / "evaluation.json").read_text())
    methods = [summary["method"] for summary in document["summaries"]]
    assert methods[::2] == ["small", "small, mirrored", "colour-histogram"]
    clean = document["summaries"][0]
    assert clean["condition"] == "clean"
    assert clean["mean"]["value"] == 1.0
    assert {row["set"] for row in clean["rows"]} == {"even", "odd"}
    assert {each["against"] for each in document["differences"]} == {"small"}
    assert len(document["encoders"]["small"]) == 16
    assert list(written.glob("*.png"))


def test_an_encoder_can_be_compared_with_a_baseline(evaluate, data):
    done = evaluate(data, "--baseline", "colour-histogram", "--against", "colour-histogram")
    assert done.code == 0, done.err
    assert "mAP minus that of colour-histogram" in done.out


def test_subjects_in_folders_leave_one_out(evaluate, data):
    done = evaluate(data, "--format", "instances")
    assert done.code == 0, done.err
    text = " ".join(done.out.split())
    assert "instances" in text
    assert "average precision not cut" in text
    assert "(attainable)" in text  # seven others cannot be among five


def test_models_of_abc_compete_with_distractors_only(evaluate, data, tmp_path):
    entries = [
        {
            "exemplar": [f"sources/{n:03d}.jpg", f"sources/{n + 1:03d}.jpg"],
            "synth": {"gpt": [f"queries/{n:03d}.jpg", f"queries/{n + 1:03d}.jpg"]},
            "class_id": f"model-{n}",
            "category": None,
        }
        for n in (0, 2, 4)
    ]
    file = tmp_path / "test_made.json"
    file.write_text(json.dumps(entries))
    done = evaluate(
        *(file, "--root", data, "--distractors", data / "distractors"),
        *("--protocol", "own-exemplars"),
    )
    assert done.code == 0, done.err
    text = " ".join(done.out.split())
    assert "test_made/gpt" in text
    assert "6 queries, 6 sources, 8 distractors; protocol own-exemplars" in text


def test_conditions_may_be_asked_for_by_kind():
    assert chosen_conditions(None) == ("clean",)
    assert chosen_conditions(["all"]) == ("clean", "laundered", "disguised")
    families = ("screenshot", "border", "crop", "rotate", "turn", "caption")
    assert chosen_conditions(["families", "clean"]) == ("clean", *families)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--condition", "unseen"), "--condition unseen: choose among clean, laundered, disguised"),
        (("--baseline", "sift"), "--baseline sift: choose from colour-histogram"),
        (("--baseline", "cca"), "cca are fitted on images: give --fit-images"),
        (("--against", "nobody"), "--against nobody: the methods are small"),
        (("--device", "tpu"), "device 'tpu' is none that can be used: give cpu or cuda"),
        (("--decisions", "--device", "meta"), "device 'meta' is none that can be used"),
    ],
)
def test_a_bad_option_is_refused_before_anything_is_described(evaluate, data, options, says):
    done = evaluate(data, *options)
    assert done.code == 2
    assert says in done.err


@pytest.mark.parametrize("mode", [(), ("--decisions",)])
def test_where_nothing_can_be_written_is_said_before_images_are_read(
    evaluate, data, tmp_path, mode, monkeypatch
):
    monkeypatch.setattr(
        "app.cli.evaluate.command.read_benchmark", lambda *_, **__: pytest.fail("too late")
    )
    (tmp_path / "taken").write_text("a file")
    done = evaluate(data, *mode, "--out", tmp_path / "taken")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "File exists" in done.err
    monkeypatch.setattr("os.access", lambda *_: False)
    done = evaluate(data, *mode, "--out", tmp_path)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert f"Permission denied: '{tmp_path}'" in done.err


@pytest.mark.parametrize(
    ("options", "missing"),
    [(("--out", "pictures"), "matplotlib.axes"), (("--decisions",), "scipy.special")],
)
def test_without_its_extra_it_says_how_to_get_it_before_images_are_read(
    evaluate, data, tmp_path, options, missing, monkeypatch
):
    monkeypatch.setattr(
        "app.cli.evaluate.command.read_benchmark", lambda *_, **__: pytest.fail("too late")
    )
    monkeypatch.setitem(sys.modules, missing, None)
    for name, module in sorted(sys.modules.items(), reverse=True):
        if name.startswith(("app.cli.evaluate.decision", "attribution.evaluation.")):
            package, _, own = name.rpartition(".")
            monkeypatch.setattr(sys.modules[package], own, module)  # for `undo` to put back
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.chdir(tmp_path)
    done = evaluate(data, *options)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "pip install 'attribution[evaluate]'" in done.err
    assert not list(tmp_path.iterdir())


def test_bad_data_is_named(evaluate, data, tmp_path):
    done = evaluate(tmp_path)
    assert done.code == 1
    assert "neither a folder with manifest.jsonl" in done.err
    (tmp_path / "manifest.jsonl").write_text('{"query": "gone.jpg"}\n')
    done = evaluate(tmp_path)
    assert done.code == 1
    assert "manifest.jsonl, line 1: " in done.err
    done = evaluate(data, "--protocol", "own-exemplars")
    assert done.code == 1
    assert "give --distractors" in done.err


def test_too_few_sources_for_supervision_are_said_before_images_are_described(
    evaluate, data, tmp_path, monkeypatch
):
    monkeypatch.setattr("app.cli.evaluate.ranks.load_encoders", lambda *_: pytest.fail("too late"))
    rows = (data / "manifest.jsonl").read_text().splitlines()[:3]
    for name in ("queries", "sources"):
        (tmp_path / name).symlink_to(data / name)
    (tmp_path / "manifest.jsonl").write_text("\n".join(rows))
    done = evaluate(tmp_path, "--baselines", "--fit-images", data / "distractors")
    assert done.code == 1
    assert "form 3 groups without a source in common" in done.err


def test_names_of_the_background_are_kept_out_of_fitting(evaluate, data, draw_pictures):
    held_out = data / "held-out.txt"
    held_out.write_text("".join(f"{n:03d}.jpg\n" for n in range(20, 28)))
    asked = ("--baseline", "whiten", "--fit-images", data / "distractors", "--background", held_out)
    done = evaluate(data, *asked)
    assert done.code == 2
    assert "no images in" in done.err
    held_out.write_bytes(b"\xff\xd8\xff\xe0 a picture")
    done = evaluate(data, *asked)
    assert done.code == 2
    assert "give a text file of image names" in done.err


@pytest.fixture
def damaged(data, tmp_path):
    """The same benchmark with a query, a source and a distractor that cannot be read."""
    folder = tmp_path / "damaged"
    shutil.copytree(data, folder)
    for name in ("queries/000.jpg", "sources/001.jpg", "distractors/020.jpg"):
        (folder / name).write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    return folder


def test_what_cannot_be_read_is_left_out_told_and_counted(evaluate, damaged, tmp_path):
    done = evaluate(damaged, "--distractors", damaged / "distractors", "--out", tmp_path / "out")
    assert done.code == 1, done.err
    told = [line for line in done.err.splitlines() if line.startswith("left out ")]
    assert [line.split(": ")[0] for line in told] == [
        f"left out source {damaged / 'sources/001.jpg'}",
        f"left out query {damaged / 'queries/000.jpg'}",
        f"left out query {damaged / 'queries/001.jpg'}",
        f"left out distractor {damaged / 'distractors/020.jpg'}",
    ]
    assert "of its sources, sources/001.jpg cannot be read" in told[2]
    text = " ".join(done.out.split())
    assert "4 queries, 5 sources, 7 distractors; left out, as they cannot be read: " in text
    assert "2 queries, 1 source, 1 distractor; protocol open" in text
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [each["kind"] for each in document["left_out"]] == [
        *("source", "query", "query", "distractor")
    ]
    assert len(document["cases"]) == 4


def test_a_benchmark_of_which_nothing_is_left_is_refused_in_one_line(evaluate, damaged):
    for n in range(6):
        (damaged / "queries" / f"{n:03d}.jpg").unlink()
    done = evaluate(damaged)
    assert done.code == 1
    [line] = done.err.splitlines()
    assert "none of its queries is left" in line
    assert done.out == ""


def test_what_baselines_cannot_be_fitted_on_is_told(damaged):
    unread = ImagesLeftOut()
    fitting = fitting_images(["whiten"], [damaged / "distractors"], None, 100, unread)
    for _ in range(2):
        assert len(list(fitting)) == 7
    assert len(unread) == 1
