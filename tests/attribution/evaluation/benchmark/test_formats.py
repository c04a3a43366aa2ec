"""Formats are told apart by what is in a folder."""

import json

import pytest

from attribution.evaluation.benchmark.cases import BadBenchmark
from attribution.evaluation.benchmark.formats import detect, read_benchmark


@pytest.fixture
def data(tmp_path, draw):
    for seed, name in enumerate(["a/q.jpg", "a/s.jpg", "b/0.jpg", "b/1.jpg"]):
        draw(tmp_path / name, seed)
    return tmp_path


def test_a_manifest_goes_before_the_folders_beside_it(data):
    assert detect(data) == "instances"
    assert len(read_benchmark(data).ranked) == 4
    row = {"query": "a/q.jpg", "sources": [{"image": "a/s.jpg", "role": "exemplar"}]}
    (data / "manifest.jsonl").write_text(json.dumps(row))
    for path in (data, data / "manifest.jsonl"):
        assert detect(path) == "manifest"
        assert len(read_benchmark(path).ranked) == 1
    assert len(read_benchmark(data, kind="instances").ranked) == 4


def test_json_is_the_layout_of_abc(data):
    entry = {"exemplar": ["a/s.jpg"], "synth": {"gpt": ["a/q.jpg"]}, "class_id": "x"}
    (data / "test.json").write_text(json.dumps([entry]))
    for path in (data, data / "test.json"):
        assert detect(path) == "abc"
        assert len(read_benchmark(path, root=data).groups) == 1


def test_distractors_join_any_format(data):
    found = read_benchmark(data, distractors=data / "a")
    assert [picture.key for picture in found.gallery[-2:]] == [
        *("distractor:q.jpg", "distractor:s.jpg")
    ]


def test_what_is_no_benchmark_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(BadBenchmark, match="neither"):
            detect(path)
