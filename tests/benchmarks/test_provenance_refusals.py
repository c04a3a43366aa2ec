"""What the commands of the tables on provenance are given and cannot use is told in a line."""

import json
import sys

import both_sources
import boxes
import classification
import paper_rows
import published
import pytest
from refusals import told


@pytest.fixture
def refused(monkeypatch, capsys, tmp_path):
    """Run a command in a folder of its own: what it says when it refuses, and leaves nothing."""

    def run(bench, *arguments):
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        monkeypatch.setattr(sys, "argv", [bench.__name__, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            told(bench.main)
        assert ended.value.code not in (0, None)
        assert sorted(tmp_path.rglob("*")) == before
        said = str(ended.value.code) if ended.value.code != 2 else capsys.readouterr().err
        return said.strip().splitlines()[-1]

    return run


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "much"])
def test_a_weight_is_a_finite_number_above_0(refused, weight):
    assert "--weights" in refused(classification, f"--weights={weight}")
    assert "--grid" in refused(published, "cub", "nowhere", f"--grid={weight}")


@pytest.mark.parametrize(
    ("option", "value"), [("--edited", 0), ("--edited", 17), ("--threads", 0), ("--threads", "x")]
)
def test_a_count_is_a_whole_number_within_what_there_is(refused, option, value):
    assert option in refused(classification, option, value)


@pytest.mark.parametrize("bench", [classification, both_sources])
def test_a_pool_without_its_table_is_named(refused, tmp_path, bench):
    assert "index.jsonl cannot be read" in refused(bench, "--pool", tmp_path / "nowhere")
    table = tmp_path / "index.jsonl"
    for text in ("no json\n", "[1]\n", json.dumps({"name": "a.jpg"}) + "\n"):
        table.write_text(text)
        assert "is no table of pictures" in refused(bench, "--pool", tmp_path)
    table.write_bytes(b"\xff\xfe")
    assert "index.jsonl cannot be read" in refused(bench, "--pool", tmp_path)


@pytest.mark.parametrize(
    ("bench", "said"),
    [
        (classification, "objects of 0 classes"),
        (boxes, "objects of 0 classes"),
        (both_sources, "no photograph"),
    ],
)
def test_a_pool_without_pictures_is_told(monkeypatch, tmp_path, bench, said):
    (tmp_path / "index.jsonl").write_text(json.dumps({"file": "a.jpg", "set": "b", "label": "c"}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [bench.__name__, "--pool", str(tmp_path)])
    with pytest.raises(SystemExit, match=said):
        told(bench.main)
    (tmp_path / "a.tar").write_bytes(b"no tar file")
    for kept in tmp_path.glob("runs/provenance/*.np?"):
        kept.unlink()
    with pytest.raises(SystemExit, match="is no tar file"):
        told(bench.main)


def test_a_set_that_is_not_there_is_named_and_no_folder_is_begun(refused, tmp_path):
    assert "CUB_200_2011" in refused(published, "cub", tmp_path)
    assert "metadata.csv" in refused(published, "waterbirds", tmp_path)
    damaged = tmp_path / "a.pkl"
    damaged.write_bytes(b"x")
    assert "a.pkl cannot be read" in refused(published, "ucf101-24", damaged, damaged)
    assert "is not there" in refused(paper_rows, "pets", tmp_path / "a", tmp_path / "b")
