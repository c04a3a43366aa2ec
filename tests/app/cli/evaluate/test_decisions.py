"""`attribution evaluate --decisions` on a folder so small that its answers are known."""

import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from models.backbones.residual import ResidualNet
from models.background import BACKGROUND, Background, thumbnail, write_background
from models.card import BackboneCard, Card, PartCard
from models.checkpoints import save_encoder
from models.heads import AffineMap, HeadPart
from models.images.preprocessing import Preprocessing
from models.loading import load_encoder
from tests.support.pictures import picture

COPIES, STRANGERS = 8, 12
SHIPPED = 60  # enough for alpha 0.1 and 0.05, not for 0.01


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """Folder of an untrained encoder with a background: copies are found by any."""
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    net = ResidualNet((8, 8, 16, 16), (1, 0, 1, 0)).eval()
    weight = torch.randn(net.dimension, 12, generator=torch.Generator().manual_seed(0))
    parts = [HeadPart("whole", AffineMap(torch.zeros(net.dimension), weight))]
    card = Card(
        name="small",
        backbone=BackboneCard(name="residual", widths=net.widths, blocks=net.blocks),
        preprocessing=Preprocessing(height=48, width=48),
        parts=(PartCard(name="whole", head="cca", dimension=12),),
    )
    save_encoder(folder, card, net, parts)
    outside = load_encoder(str(folder)).encode([picture(seed) for seed in range(2000, 2060)])
    save_encoder(folder, card, net, parts, reference=outside)
    loaded = load_encoder(str(folder))
    images = [picture(seed) for seed in range(1000, 1000 + SHIPPED)]
    rows = loaded.encode(images, domain="query")
    thumbnails = np.stack([thumbnail(image) for image in images])
    write_background(folder / BACKGROUND, Background(loaded.model_id, rows, thumbnails))
    return folder


@pytest.fixture(scope="module")
def data(draw_pictures, tmp_path_factory):
    """Two sets of copies of their sources, and strangers; thirty distractors."""
    folder = tmp_path_factory.mktemp("bench")
    draw_pictures(folder / "sources", range(COPIES))
    draw_pictures(folder / "strangers", range(500, 500 + STRANGERS))
    draw_pictures(folder / "distractors", range(20, 50))
    (folder / "queries").mkdir()
    rows = []
    for n in range(COPIES):
        with Image.open(folder / f"sources/{n:03d}.jpg") as image:
            blurred = image.filter(ImageFilter.GaussianBlur(0.5))
        blurred.save(folder / f"queries/{n:03d}.jpg")
        sources = [{"image": f"sources/{n:03d}.jpg"}]
        name = "even" if n % 2 == 0 else "odd"
        rows.append({"query": f"queries/{n:03d}.jpg", "sources": sources, "set": name})
    rows += [
        {"query": f"strangers/{n:03d}.jpg", "sources": [], "set": "strangers"}
        for n in range(500, 500 + STRANGERS)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(text)
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def evaluate(attribution, data, kept, encoder):
    def run(*options):
        return attribution(
            *("evaluate", data, "--distractors", data / "distractors", "--decisions"),
            *("--encoder", encoder, "--gallery", kept / "gallery", *options),
        )

    return run


@pytest.fixture(scope="module")
def done(evaluate, kept):
    return evaluate("--condition", "clean", "--condition", "laundered", "--out", kept / "out")


@pytest.fixture(scope="module")
def document(done, kept):
    assert done.code == 0, done.err
    return json.loads((kept / "out" / "decisions.json").read_text())


def test_it_prints_what_was_measured_and_on_what(done):
    assert done.code == 0, done.err
    text = " ".join(done.out.split())
    for title in (
        "false attribution of queries without source",
        "p-values of queries without source",
        "queries with sources: power",
        "wrong ones among all attributions",
        "shares beside what was true",
        "risk (rank 1 no true source) over coverage",
    ):
        assert title in text
    assert f"{COPIES + STRANGERS} queries, {COPIES} sources, 30 distractors" in text
    assert "alpha 0.01 is left out: the background is too small" in done.err


def test_every_figure_follows_from_the_answers_in_the_json(document):
    answers = {(e["condition"], e["left_out"]): e["queries"] for e in document["answers"]}
    assert list(answers) == [
        (condition, left_out)
        for condition in ("clean", "laundered")
        for left_out in (None, "even", "odd", "distractors themselves")
    ]
    assert document["alphas"] == [0.1, 0.05]
    clean = answers["clean", None]
    for each in document["power"]:
        if each["condition"] != "clean":
            continue
        chosen = [q for q in clean if q["set"] == each["set"]]
        attributed = [q for q in chosen if q["p_value"] <= each["alpha"]]
        assert each["attributed"]["count"] == len(attributed)
        assert each["power"]["count"] == sum(q["right"] for q in attributed)
    for each in document["false_attribution"]:
        left_out = each["set"] if each["left_out"] else None
        chosen = [q for q in answers[each["condition"], left_out] if q["set"] == each["set"]]
        assert each["rate"]["count"] == sum(q["p_value"] <= each["alpha"] for q in chosen)
        assert each["rate"]["total"] == len(chosen)
    assert document["risk"]["clean"]["error"] == np.mean([not q["right"] for q in clean])


def test_copies_are_found_unless_their_set_is_left_out(document):
    whole, even, odd = (each["queries"] for each in document["answers"][:3])
    copies = [query for query in whole if query["set"] != "strangers"]
    assert all(query["right"] and query["credit"] == 1 for query in copies)
    assert [query["first"] for query in copies] == [f"sources/{n:03d}.jpg" for n in range(COPIES)]
    for left_out in (even, odd):
        assert len(left_out) == COPIES / 2
        assert all(query["sourceless"] and not query["right"] for query in left_out)
        assert not {q["first"] for q in left_out} & {q["query"][-7:] for q in left_out}
    themselves = document["answers"][3]["queries"]
    assert len(themselves) == 30 // 5
    own = {"distractor:" + query["query"].rpartition("/")[2] for query in themselves}
    assert not {query["first"] for query in themselves} & own
    named = {query["first"] for query in even}
    assert not named & {f"sources/{n:03d}.jpg" for n in range(0, COPIES, 2)}


def test_pictures_are_written(document, kept):
    names = {path.name for path in (kept / "out").glob("*.png")}
    assert names == {
        *(f"p-values-{condition}.png" for condition in ("clean", "laundered")),
        *(f"false-attribution-{condition}.png" for condition in ("clean", "laundered")),
        "risk-coverage.png",
        "reliability-rank-1.png",
        "reliability-unattributed.png",
    }
    for name in names:
        with Image.open(kept / "out" / name) as image:
            assert image.width > 1000


def test_a_kept_gallery_is_used_again_and_gives_the_same_answers(
    document, evaluate, kept, monkeypatch
):
    monkeypatch.setattr(
        "attribution.evaluation.decisions.gallery.ingest", None
    )  # nothing to ingest
    again = evaluate("--out", kept / "again")
    assert again.code == 0, again.err
    found = json.loads((kept / "again" / "decisions.json").read_text())
    assert found["answers"] == document["answers"][:4]
    assert found["power"] == [e for e in document["power"] if e["condition"] == "clean"]


def test_a_gallery_of_other_images_is_refused(attribution, data, kept, encoder, document):
    done = attribution(
        *("evaluate", data, "--decisions", "--encoder", encoder),
        *("--gallery", kept / "gallery"),
    )
    assert done.code == 1
    assert "which is not of this benchmark" in done.err


def test_the_operators_database_is_left_alone(attribution, data, encoder, tmp_path):
    database = tmp_path / "operators.sqlite3"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTRIBUTION_DATABASE_URL", f"sqlite:///{database}")
        done = attribution("evaluate", data, "--decisions", "--encoder", encoder)
    assert done.code == 0, done.err
    assert f"{COPIES} sources, 0 distractors" in done.out
    assert not database.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--mirrored",), "leave out --mirrored"),
        (("--baseline", "hog"), "leave out --baseline"),
        (("--protocol", "own-exemplars"), "leave out --protocol"),
        (("--encoder", "bundled"), "leave out more than one --encoder"),
    ],
)
def test_options_that_compare_methods_are_refused(evaluate, options, says):
    done = evaluate(*options)
    assert done.code == 2
    assert says in done.err


def test_a_gallery_needs_decisions(attribution, data, tmp_path):
    done = attribution("evaluate", data, "--gallery", tmp_path / "gallery")
    assert done.code == 2
    assert "--gallery holds what is searched with --decisions" in done.err


def test_without_background_nothing_is_decided(attribution, data, encoder, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in encoder.iterdir():
        if path.name != "background.safetensors":
            (bare / path.name).write_bytes(path.read_bytes())
    done = attribution("evaluate", data, "--decisions", "--encoder", bare)
    assert done.code == 2
    assert "it has no background" in done.err
