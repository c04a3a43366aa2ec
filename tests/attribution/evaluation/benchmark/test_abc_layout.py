"""The published AbC layout: entries as they are published, and how a bad one is named."""

import json

import pytest

from attribution.evaluation.benchmark.abc_layout import read_abc_layout
from attribution.evaluation.benchmark.cases import BadBenchmark


def entry(name, exemplars=2, samples=2):
    """In the form of the published files."""
    return {
        "exemplar": [f"dataset/exemplar/set/images/{name}/{n}.jpg" for n in range(exemplars)],
        "synth": {
            kind: [f"dataset/synth/set/{kind}/{name}/samples/{n:05d}.png" for n in range(samples)]
            for kind in ("gpt", "object")
        },
        "class_id": name,
        "category": None,
    }


def paths_of(entries):
    return {
        path
        for each in entries
        for path in [*each["exemplar"], *(p for paths in each["synth"].values() for p in paths)]
    }


@pytest.fixture
def publish(tmp_path, draw):
    def write(entries, name="test_set.json", within="dataset"):
        for seed, path in enumerate(sorted(paths_of(entries))):
            draw(tmp_path / path, seed)
        file = tmp_path / within / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(entries))
        return file

    return write


def test_a_sample_has_all_exemplars_of_its_model(publish, tmp_path):
    entries = [entry("african", exemplars=3), entry("altdorfer", exemplars=2)]
    found = read_abc_layout(publish(entries))
    assert len(found.cases) == 8
    assert found.cut is None
    assert {case.set for case in found.cases} == {"test_set/gpt", "test_set/object"}
    for case in found.cases:
        model = entries[0] if "african" in case.query.as_posix() else entries[1]
        assert [truth.key for truth in case.truths] == model["exemplar"]
        assert {truth.role for truth in case.truths} == {"exemplar"}
        assert found.groups[case.gallery] == frozenset(model["exemplar"])
        assert case.query.is_file()
        assert case.query.is_relative_to(tmp_path)
    keys = sorted(entries[0]["exemplar"] + entries[1]["exemplar"])
    assert [source.key for source in found.sources] == keys
    assert found.sources[0].load().mode == "RGB"


def test_two_models_of_one_class_keep_their_own_exemplars(publish):
    first, second = entry("n01518878"), entry("n01518878")
    second["exemplar"] = ["dataset/exemplar/set/images/n01518878/9.jpg"]
    found = read_abc_layout(publish([first, second]))
    assert len(found.groups) == 2
    assert {len(exemplars) for exemplars in found.groups.values()} == {1, 2}


def test_a_folder_of_files_is_read_as_sets(publish, tmp_path):
    publish([entry("a")], "test_one.json")
    publish([entry("b")], "test_two.json")
    found = read_abc_layout(tmp_path / "dataset")
    assert {case.set for case in found.cases} == {
        *("test_one/gpt", "test_one/object", "test_two/gpt", "test_two/object")
    }


def test_the_root_is_found_upwards_or_given(publish, tmp_path):
    deep = publish([entry("a")], within="dataset/json/deep")
    assert len(read_abc_layout(deep).cases) == 4
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere" / "test_set.json"
    elsewhere.parent.mkdir()
    deep.rename(elsewhere)
    with pytest.raises(BadBenchmark, match="--root"):
        read_abc_layout(elsewhere)
    assert len(read_abc_layout(elsewhere, tmp_path).cases) == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda e: e.pop("exemplar"), 'needs "exemplar"'),
        (lambda e: e.update(exemplar={"one": 1}), 'needs "exemplar"'),
        (lambda e: e.pop("synth"), 'needs "synth"'),
        (lambda e: e["synth"].update(gpt=[]), "'gpt' must be a list"),
        (lambda e: e["synth"]["gpt"].append(7), "7 is not a path"),
    ],
)
def test_a_bad_entry_is_named_by_file_and_number(publish, change, says):
    entries = [entry("good"), entry("bad")]
    file = publish(entries)
    change(entries[1])
    file.write_text(json.dumps(entries))
    with pytest.raises(BadBenchmark) as caught:
        read_abc_layout(file)
    assert str(caught.value).startswith(f"{file}, entry 2: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "not valid JSON"), ("[" * 100_000, "not valid JSON"), ("[]", "list of entries")],
)
def test_a_file_that_is_no_list_of_entries_is_named(tmp_path, text, says):
    file = tmp_path / "test.json"
    with pytest.raises(BadBenchmark, match="no such file"):
        read_abc_layout(file)
    with pytest.raises(BadBenchmark, match=r"no \.json file"):
        read_abc_layout(tmp_path)
    file.write_text(text)
    with pytest.raises(BadBenchmark, match=says):
        read_abc_layout(file)
