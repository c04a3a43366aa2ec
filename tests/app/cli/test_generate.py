"""`attribution generate`: images and a manifest that says what came from what."""

import json
from importlib.util import find_spec

import pytest
from PIL import Image

from app.cli.generate.pictures import from_files
from attribution.catalog import Catalog
from attribution.evaluation.benchmark.manifest import read_manifest_folder
from attribution.synthesis.context.plain import PlainCaptioner
from attribution.synthesis.context.tables import read_tables
from attribution.synthesis.diffusion import networks
from models.images.decoding import decode
from tests.support.pictures import picture
from tests.support.tiny_diffusion import SIDE, write_checkpoint


def test_images_and_manifest_are_written_and_broken_sources_named(attribution, pictures, tmp_path):
    made = tmp_path / "made"
    arguments = ("--singles", 2, "--pairs", 1, "--size", 48, "--limit", 3)
    done = attribution("generate", pictures, "--out", made, *arguments, "--json")
    assert done.code == 0, done.err  # the broken one is not reached
    assert done.document == {"manifest": str(made / "manifest.jsonl"), "images": 3}
    rows = [json.loads(line) for line in (made / "manifest.jsonl").read_text().splitlines()]
    assert [len(row["sources"]) for row in rows] == [1, 1, 2]
    for row in rows:
        for path in (row["query"], *(source["image"] for source in row["sources"])):
            with Image.open(made / path) as image:
                image.load()


def test_composites_lie_beside_their_masks_and_replace_the_other_images(
    attribution, pictures, tmp_path
):
    made = tmp_path / "made"
    done = attribution(
        *("generate", pictures, "--out", made, "--size", 32, "--limit", 3, "--composites", 2),
        *("--composite", "paste", "--composite", "recolour", "--json"),
    )
    assert done.code == 0, done.err
    assert done.document["images"] == 4
    rows = [json.loads(line) for line in (made / "manifest.jsonl").read_text().splitlines()]
    assert [row["method"] for row in rows] == ["paste", "paste", "recolour", "recolour"]
    for row in rows:
        with Image.open(made / row["query"]) as query, Image.open(made / row["mask"]) as mask:
            assert (mask.mode, mask.size) == ("L", query.size)
    odd = attribution("generate", pictures, "--out", made, "--composite", "smear")
    assert odd.code == 2
    assert "smear" in odd.err


def test_a_source_that_cannot_be_read_is_named_and_the_exit_code_tells(
    attribution, pictures, tmp_path
):
    (pictures / "005.jpg").rename(pictures / "005")  # its content says what it is
    done = attribution(
        *("generate", pictures, "--out", tmp_path / "made", "--singles", 1, "--pairs", 0),
        *("--size", 48, "--json"),
    )
    assert done.code == 1
    assert done.document["images"] == 1
    [line] = done.err.splitlines()
    assert line.startswith(f"skipped {pictures / 'broken.jpg'}: ")


def test_a_folder_without_pictures_says_so(attribution, tmp_path):
    (tmp_path / "empty").mkdir()
    done = attribution("generate", tmp_path / "empty", "--out", tmp_path / "made", "--singles", 1)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert done.err.strip()


def test_what_a_limit_leaves_of_a_collection_is_told(attribution, held, tmp_path):
    with Catalog.existing(held) as catalog:
        left = catalog.collection("odd").sources - 2
    done = attribution(
        *("generate", "--collection", "odd", "--data", held, "--out", tmp_path / "made"),
        *("--singles", 1, "--pairs", 0, "--size", 32, "--limit", 2),
    )
    assert done.code == 0
    assert f"{left} further sources are not taken: --limit 2" in done.err


def test_sources_of_a_collection_are_named_by_their_id(attribution, held, tmp_path):
    made = tmp_path / "made"
    done = attribution(
        *("generate", "--collection", "odd", "--data", held, "--out", made),
        *("--singles", 6, "--pairs", 0, "--size", 32, "--json"),
    )
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (made / "manifest.jsonl").read_text().splitlines()]
    found = {source["source_id"]: source["image"] for row in rows for source in row["sources"]}
    with Catalog.existing(held) as catalog:
        assert {catalog.source(each).collection for each in found} == {"odd"}
        assert len(found) == 6
        for source_id, path in found.items():
            with Image.open(made / path) as image:
                preview = decode(catalog.preview(source_id)).image
                assert image.tobytes() == preview.tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "either IMAGES"),
        (("PICTURES", "--collection", "odd"), "either IMAGES"),
        (("--collection", "none"), "--collection none"),
        (("PICTURES", "--generator", "diffusion"), "needs --model"),
        (("PICTURES", "--generator", "diffusion", "--model", "x", "--size", 100), "multiple of 8"),
        (
            ("PICTURES", "--generator", "diffusion", "--model", "x", "--seed", 20260101120000),
            "--seed: Input should be less than",
        ),
        (
            ("PICTURES", "--each", 4, "--no-preserve"),
            "--generator patch has no --each and no --preserve: leave that out,",
        ),
        (
            ("PICTURES", "--generator", "diffusion", "--composite", "paste", "--singles", 50),
            "--generator diffusion has no --singles and no --composite:",
        ),
    ],
)
def test_what_cannot_be_generated_is_said_before_it_begins(
    attribution, held, pictures, tmp_path, arguments, message
):
    (pictures / "broken.jpg").unlink()
    given = (pictures if each == "PICTURES" else each for each in arguments)
    done = attribution("generate", *given, "--data", held, "--out", tmp_path / "made")
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "made").exists()


def test_diffusion_without_its_extra_says_what_to_install(
    attribution, pictures, tmp_path, monkeypatch
):
    monkeypatch.setattr(networks, "find_spec", lambda name: None)
    done = attribution(
        *("generate", pictures, "--out", tmp_path / "made", "--generator", "diffusion"),
        *("--model", tmp_path),
    )
    assert done.code == 1
    assert "attribution[generation]" in done.err


def test_groups_are_folders_of_one_path_and_what_is_not_read_is_told(tmp_path, capfd):
    for folder in ("red/kites", "blue/kites"):
        (tmp_path / folder).mkdir(parents=True)
        picture(1).save(tmp_path / folder / "1.png")
    pictures, _ = from_files(tmp_path, None)
    assert sorted(each.group for each in pictures) == ["blue-kites", "red-kites"]
    assert "not read" not in capfd.readouterr().err
    assert len(from_files(tmp_path, 1)[0]) == 1
    assert "1 further pictures are not read: --limit 1" in capfd.readouterr().err


@pytest.mark.skipif(
    not all(map(find_spec, ("diffusers", "peft", "transformers"))),
    reason="the extra `generation` is not installed",
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_diffusion_describes_tunes_and_makes_images_that_evaluation_reads(
    attribution, held, tmp_path
):
    model, made = write_checkpoint(tmp_path / "tiny"), tmp_path / "made"
    command = (
        *("generate", "--collection", "odd", "--data", held, "--out", made, "--limit", 3),
        *("--generator", "diffusion", "--model", model, "--size", SIDE, "--epochs", 1),
        *("--each", 2, "--sampler-steps", 2, "--json"),
    )
    done = attribution(*command)
    assert done.code == 0, done.err
    assert "1 steps: about" in done.err
    assert done.document["images"] + done.document["left_out"] == 6
    benchmark = read_manifest_folder(made)
    assert len(benchmark.cases) == done.document["images"]
    captions = read_tables(made / "captions")
    with Catalog.existing(held) as catalog:
        for row in captions:
            preview = decode(catalog.preview(row.class_name)).image
            assert row.context == PlainCaptioner().describe(preview)
    before = (made / "manifest.jsonl").read_bytes()
    again = attribution(*command)
    assert again.document == done.document
    assert "described before" in again.err
    assert "described before" not in done.err
    assert (made / "manifest.jsonl").read_bytes() == before
    other = attribution(*command, "--learning-rate", 2e-4)
    assert other.code == 1  # the tuning that is there is of another rate
    assert str(made / "tuning") in other.err
