"""Distractors from folders and tar shards, opened again in any order."""

import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from attribution.evaluation.benchmark.cases import BadBenchmark
from attribution.evaluation.benchmark.distractors import read_distractors


@pytest.fixture
def files(tmp_path, draw):
    return [draw(tmp_path / "loose" / "deep" / f"{seed}.png", seed) for seed in range(5)]


@pytest.fixture
def shards(tmp_path, files):
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard in range(2):
        with tarfile.open(folder / f"part-{shard}.tar", "w") as archive:
            for file in files[shard::2]:
                archive.add(file, file.name)
            archive.add(__file__, "readme.py")
    return folder


def pixels(image):
    return np.asarray(image).tobytes()


def on_disk(file):
    with Image.open(file) as image:
        return pixels(image.convert("RGB"))


def test_a_folder_is_read_through(tmp_path, files):
    found = read_distractors(tmp_path / "loose")
    assert [picture.key for picture in found] == [f"distractor:deep/{n}.png" for n in range(5)]
    assert pixels(found[3].load()) == on_disk(files[3])


def test_shards_are_opened_in_any_order_and_again(shards, files):
    found = {picture.key: picture for picture in read_distractors(shards)}
    assert len(found) == 5
    for _ in range(2):
        for number in (4, 0, 3):
            key = f"distractor:part-{number % 2}.tar/{number}.png"
            assert pixels(found[key].load()) == on_disk(files[number])
    assert len(read_distractors(shards / "part-1.tar")) == 2


def test_images_beside_shards_and_links_in_them_are_read_and_the_rest_is_named(shards, files):
    (shards / "loose.png").write_bytes(files[0].read_bytes())
    with tarfile.open(shards / "part-2.tar", "w") as archive:
        archive.add(files[1], "real.png")
        for name, target in (("link.png", "real.png"), ("gone.png", "nowhere.png")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    found = {picture.key.rpartition("/")[2]: picture for picture in read_distractors(shards)}
    assert found.keys() >= {"distractor:loose.png", "link.png", "real.png", "gone.png"}
    assert pixels(found["link.png"].load()) == on_disk(files[1])
    with pytest.raises(BadBenchmark, match=r"gone\.png in .*: a link that leads nowhere"):
        found["gone.png"].load()


def test_an_index_says_which_are_distractors(shards):
    rows = [{"file": f"{n}.png", "distractor": n in (1, 4)} for n in range(5)]
    (shards / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = {picture.key for picture in read_distractors(shards)}
    assert keys == {"distractor:part-1.tar/1.png", "distractor:part-0.tar/4.png"}


@pytest.mark.parametrize("line", ["{", "[]", '{"file": "0.png"}', '{"distractor": true}', "7"])
def test_a_bad_index_is_named_by_line(shards, line):
    (shards / "index.jsonl").write_text('{"file": "0.png", "distractor": true}\n' + line + "\n")
    with pytest.raises(BadBenchmark, match=r"index\.jsonl, line 2: "):
        read_distractors(shards)


def test_what_holds_no_images_is_refused(tmp_path, files):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadBenchmark, match="no distractors in it"):
        read_distractors(tmp_path / "empty")
    with pytest.raises(BadBenchmark, match="give a folder"):
        read_distractors(files[0])
    with pytest.raises(BadBenchmark, match="no such file"):
        read_distractors(tmp_path / "gone.tar")
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"not an archive" * 100)
    with pytest.raises(BadBenchmark, match=r"broken\.tar"):
        read_distractors(broken)


def test_a_broken_image_is_named_when_opened(tmp_path, shards):
    (tmp_path / "loose" / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    bad = [p for p in read_distractors(tmp_path / "loose") if p.key.endswith("bad.jpg")]
    with pytest.raises(BadBenchmark, match=r"bad\.jpg: "):
        bad[0].load()
    with tarfile.open(shards / "part-2.tar", "w") as archive:
        archive.add(tmp_path / "loose" / "bad.jpg", "bad.jpg")
    with pytest.raises(BadBenchmark, match=r"bad\.jpg in .*part-2\.tar: "):
        read_distractors(shards / "part-2.tar")[0].load()
