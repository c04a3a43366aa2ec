"""`attribution index`: the state of the index, its snapshot, and building it again."""

import shutil

import pytest

from attribution.catalog import Catalog
from attribution.index import holds_removed
from attribution.opening.gallery import save
from tests.support.encoders import make_encoder

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


def test_the_embeddings_of_another_encoder_are_pointed_out(attribution, data, tmp_path):
    make_encoder(tmp_path / "another", 2)
    done = attribution("index", "--data", data, "--json", "--encoder", tmp_path / "another")
    assert done.document["vectors"] == 0
    assert "choose that encoder with --encoder" in done.err


def test_what_is_to_be_erased_before_it_saves_is_not_in_what_it_saves(
    attribution, data, monkeypatch
):
    """Deleted by somebody else between the reading of the index and its saving."""

    def meanwhile(settings, gallery):
        [source] = gallery.catalog.sources(limit=1).items
        gallery.catalog.delete(source_ids=[source.source_id])
        gallery.catalog.compaction.ask()
        save(settings, gallery)

    monkeypatch.setattr("attribution.opening.gallery.save", meanwhile)
    done = attribution("index", "--data", data, "--save", "--json")
    assert done.code == 0, done.err
    assert done.document["vectors"] == 11
    with Catalog.open(data) as catalog:
        erased = catalog.generation()
    assert not holds_removed(data / "index", erased)
