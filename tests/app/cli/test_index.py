"""`attribution index`: the state of the index, its snapshot, and building it again."""

import shutil

import pytest

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")


@pytest.fixture
def data(held, tmp_path):
    return shutil.copytree(held, tmp_path / "data")


def test_json_says_what_is_held(attribution, data):
    done = attribution("index", "--data", data, "--json")
    assert done.code == 0
    assert (done.document["vectors"], done.document["kind"]) == (12, "flat")
    assert not (data / "index").exists(), "looking must not write"
    assert "vectors" in attribution("index", "--data", data).out


def test_a_saved_index_is_opened_and_a_damaged_one_is_built_again(attribution, data):
    assert attribution("index", "--data", data, "--save", "--json").code == 0
    opened = attribution("index", "--data", data, "--json")
    assert opened.document["vectors"] == 12
    [damaged] = (data / "index").glob("*/base-part-0.npy")
    damaged.write_bytes(damaged.read_bytes()[:-4] + b"oops")
    for flags in ([], ["--rebuild"]):
        done = attribution("index", "--data", data, "--json", *flags)
        assert done.code == 0
        assert done.document == opened.document


def test_the_embeddings_of_another_encoder_are_pointed_out(attribution, data, monkeypatch):
    monkeypatch.setattr("models.encoder.Encoder._hash", lambda encoder: "another")
    done = attribution("index", "--data", data, "--json")
    assert done.document["vectors"] == 0
    assert "choose that encoder with --encoder" in done.err
