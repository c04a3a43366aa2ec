"""Leave-one-out instances: the other images of a subject are the sources of each."""

import os
from pathlib import Path

import pytest

from attribution.evaluation.benchmark.cases import BadBenchmark
from attribution.evaluation.benchmark.formats import detect
from attribution.evaluation.benchmark.instances import read_instances
from attribution.evaluation.benchmark.screening import readable


def test_each_image_looks_for_the_others_of_its_subject(tmp_path, draw):
    for seed, name in enumerate(["cat/0.jpg", "cat/1.png", "cat/2.jpg", "dog/0.jpg"]):
        draw(tmp_path / name, seed)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "cat" / "2.jpg").rename(tmp_path / "cat" / "2")  # its content says what it is
    (tmp_path / "cat" / "._0.jpg").write_bytes(b"\0\5\x16\7")
    found = read_instances(tmp_path)
    assert [source.key for source in found.sources] == [
        *("cat/0.jpg", "cat/1.png", "cat/2", "dog/0.jpg")
    ]
    second = found.cases[1]
    assert second.query == tmp_path / "cat/1.png"
    assert [truth.key for truth in second.truths] == ["cat/0.jpg", "cat/2"]
    assert second.excluded == {"cat/1.png"}
    assert len(found.ranked) == 3  # the dog is alone: in the gallery, not ranked


def test_no_subjects_and_an_empty_one_are_named(tmp_path, draw):
    draw(tmp_path / "loose.jpg", 0)
    with pytest.raises(BadBenchmark, match="no folders in it"):
        read_instances(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadBenchmark, match="empty: no images in it"):
        read_instances(tmp_path)


def test_what_cannot_be_read_is_left_out_and_ends_nothing(tmp_path, draw, monkeypatch):
    for seed, name in enumerate(["cat/0.jpg", "cat/1.png", "dog/0.jpg", "emu/0.jpg"]):
        draw(tmp_path / name, seed)
    (tmp_path / "cat" / "gone.jpg").symlink_to("nowhere")
    os.mkfifo(tmp_path / "cat" / "pipe.jpg")
    inside = Path.iterdir

    def iterdir(path):
        if path.name == "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return inside(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert detect(tmp_path) == "instances"
    left, left_out = readable(read_instances(tmp_path))
    assert [each.key for each in left.sources] == ["cat/0.jpg", "cat/1.png", "emu/0.jpg"]
    told = {each.place: each.reason for each in left_out if each.kind == "source"}
    assert told == {
        str(tmp_path / "dog"): "cannot be read (Permission denied)",
        str(tmp_path / "cat" / "gone.jpg"): "no such image",
        str(tmp_path / "cat" / "pipe.jpg"): "cannot be read (is no regular file)",
    }
