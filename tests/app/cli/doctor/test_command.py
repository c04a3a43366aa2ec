"""`attribution doctor`: what it finds where all is well, and what keeps a service from serving."""

import socket

import pytest

from app.cli.doctor import installed
from app.cli.doctor.installed import USES
from attribution.catalog import Catalog
from tests.support import milvus

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")


def checks(done):
    return {each["name"]: each for each in done.document["checks"]}


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


@pytest.fixture(autouse=True)
def _a_free_port(monkeypatch):
    monkeypatch.setenv("ATTRIBUTION_PORT", str(free_port()))


def test_a_folder_that_is_in_use_is_described(attribution, held):
    done = attribution("doctor", "--data", held, "--json")
    assert (done.code, done.document["healthy"]) == (0, True)
    found = checks(done)
    assert found["catalog"]["found"].startswith("12 sources in 3 collections")
    assert found["engine"]["found"] == "torch"
    assert "150 images" in found["calibration"]["found"]
    assert found["keys"]["state"] == found["disk"]["state"] == found["data folder"]["state"] == "ok"
    assert {name.removeprefix("extra ") for name in found if name.startswith("extra ")} == set(USES)
    assert found["extra metadata"]["state"] == "ok"
    words = attribution("doctor", "--data", held)
    assert words.code == 0
    assert words.out.endswith("ready to serve\n")
    assert "-> `attribution calibrate` fits them" in words.out


def test_an_empty_place_can_serve_and_nothing_is_made_there(attribution, tmp_path):
    done = attribution("doctor", "--data", tmp_path / "new", "--json")
    assert done.code == 0
    found = checks(done)
    assert (found["data folder"]["state"], found["catalog"]["state"]) == ("note", "note")
    assert "ingest" in found["catalog"]["todo"]
    assert not (tmp_path / "new").exists()


def test_what_keeps_a_service_from_serving_is_a_problem_and_exits_with_1(
    attribution, tmp_path, monkeypatch
):
    with Catalog.open(tmp_path / "data"):
        pass
    (tmp_path / "key").write_bytes(b"no key")
    monkeypatch.setenv("ATTRIBUTION_SIGNING_KEY", str(tmp_path / "key"))
    monkeypatch.setenv("ATTRIBUTION_HOST", "0.0.0.0")
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        monkeypatch.setenv("ATTRIBUTION_PORT", str(taken.getsockname()[1]))
        missing = tmp_path / "no-encoder"
        done = attribution("doctor", "--data", tmp_path / "data", "--encoder", missing, "--json")
    assert (done.code, done.document["healthy"]) == (1, False)
    found = checks(done)
    problems = {name for name, each in found.items() if each["state"] == "problem"}
    assert problems == {"keys", "address", "encoder", "reports"}
    assert all(found[name]["todo"] for name in problems)
    assert "attribution keys create" in found["keys"]["found"]
    assert "no-encoder" in found["encoder"]["found"]


def test_a_damaged_catalog_and_bad_settings_are_told(attribution, tmp_path, monkeypatch):
    (tmp_path / "catalog.sqlite3").write_bytes(b"nothing of the kind" * 100)
    done = attribution("doctor", "--data", tmp_path, "--json")
    assert (done.code, checks(done)["catalog"]["state"]) == (1, "problem")
    monkeypatch.setenv("ATTRIBUTION_ALHPA", "0.1")
    done = attribution("doctor", "--data", tmp_path, "--json")
    assert done.code == 1
    assert "did you mean ATTRIBUTION_ALPHA" in checks(done)["settings"]["found"]


def test_a_folder_where_nothing_can_be_made_is_a_problem(attribution, tmp_path):
    (tmp_path / "file").touch()
    done = attribution("doctor", "--data", tmp_path / "file" / "data", "--json")
    assert done.code == 1
    assert checks(done)["data folder"]["state"] == "problem"


def test_an_extra_that_lacks_a_package_says_which(monkeypatch):
    monkeypatch.setattr(installed, "_is_there", lambda name: name != "defusedxml")
    found = {each.name: each for each in installed.installed()}
    assert found["extra metadata"].state == "note"
    assert "defusedxml" in found["extra metadata"].found
    assert found["extra metadata"].todo.startswith("pip install 'attribution[metadata]'")


def test_a_database_that_is_out_of_reach_is_a_problem_and_its_password_no_news(
    attribution, tmp_path, monkeypatch
):
    url = "postgresql://me:not-to-be-shown@localhost:1/name"
    monkeypatch.setenv("ATTRIBUTION_DATABASE_URL", url)
    done = attribution("doctor", "--data", tmp_path / "none", "--json")
    assert (done.code, checks(done)["catalog"]["state"]) == (1, "problem")
    assert "refused" in checks(done)["catalog"]["found"]
    assert "not-to-be-shown" not in done.out + done.err


def test_a_milvus_that_is_to_hold_the_vectors_is_asked(attribution, tmp_path, monkeypatch):
    milvus.require()
    monkeypatch.setattr("attribution.index.milvus.server._SECONDS", 0.3)

    def looked(url):
        monkeypatch.setenv("ATTRIBUTION_INDEX_URL", str(url))
        done = attribution("doctor", "--data", tmp_path / "none", "--json")
        return done.code, checks(done)["index"]["state"], checks(done)["index"]["found"]

    code, state, found = looked("http://127.0.0.1:1")
    assert (code, state) == (1, "problem")
    assert "Milvus at 127.0.0.1:1 does not answer" in found
    embedded = tmp_path / "vectors.db"
    assert looked(embedded)[:2] == (0, "note")
    assert not embedded.exists()
    server = milvus.MilvusServer(tmp_path / "milvus")
    assert looked(server.url)[:2] == (0, "ok")
    server.stop()
