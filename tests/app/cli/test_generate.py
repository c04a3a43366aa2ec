"""`attribution generate`: images and a manifest that says what came from what."""

import json

from PIL import Image


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
