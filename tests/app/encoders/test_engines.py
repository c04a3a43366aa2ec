"""Which engine runs the encoder of a service: as set, else the faster one, and told everywhere."""

import shutil

import pytest

from app.settings import Settings
from attribution.catalog import Catalog
from attribution.opening import engines
from attribution.opening.load import load_vision
from models.engine import Choice, Rate
from models.exported import choosing
from models.exported.stored import EngineUnavailable, graph_path
from tests.support.encoders import make_encoder
from tests.support.pictures import picture, variation
from tests.support.service import serving
from tests.support.terminal import call

FAST_ONNX = tuple(
    Rate(engine, batch, rate * batch)
    for batch in (1, 8)
    for engine, rate in (("torch", 30.25), ("onnx", 40.0))
)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "small"
    make_encoder(folder, 1)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory, encoder_folder):
    """A data folder of nothing but an empty catalog and an exported network."""
    data = tmp_path_factory.mktemp("data")
    Catalog.open(data).close()
    done = call("engine", "build", "--data", data, "--encoder", encoder_folder, "--json")
    assert done.code == 0, done.err
    assert done.document["largest_difference"] < 1e-4
    assert {rate["engine"] for rate in done.document["rates"]} == {"torch", "onnx"}
    return data


@pytest.fixture
def settings(exported, encoder_folder, tmp_path):
    data = shutil.copytree(exported, tmp_path / "data")
    return Settings(data=data, encoder=str(encoder_folder), inference_threads=1)


@pytest.fixture
def onnx_is_faster(monkeypatch):
    monkeypatch.setattr(choosing, "remembered", lambda path, here: None)
    monkeypatch.setattr(choosing, "measure", lambda encoders: FAST_ONNX)


def of(settings, engine):
    return load_vision(settings.model_copy(update={"engine": engine})).encoder


def test_the_engine_is_the_one_that_is_set_else_the_faster_one(settings, onnx_is_faster):
    chosen = {engine: of(settings, engine) for engine in ("torch", "onnx", "auto")}
    assert {engine: each.engine.name for engine, each in chosen.items()} == {
        "torch": "torch", "onnx": "onnx", "auto": "onnx",
    }  # fmt: skip
    assert chosen["torch"].choice == Choice("torch", "set")
    assert chosen["onnx"].choice == Choice("onnx", "set")
    assert chosen["auto"].choice == Choice("onnx", "measured", FAST_ONNX)
    assert len({each.model_id for each in chosen.values()}) == 1


def test_the_variable_is_read(monkeypatch):
    assert Settings().engine == "auto"
    monkeypatch.setenv("ATTRIBUTION_ENGINE", "onnx")
    assert Settings().engine == "onnx"


def test_without_an_exported_network_there_is_only_torch(settings):
    shutil.rmtree(settings.engines)
    assert of(settings, "auto").choice == Choice("torch", "only")
    with pytest.raises(EngineUnavailable, match="`attribution engine build`"):
        of(settings, "onnx")


def test_what_cannot_be_used_leaves_torch_with_a_word_in_the_log(settings, monkeypatch, caplog):
    monkeypatch.setattr(engines, "installed", lambda: False)
    assert of(settings, "auto").choice == Choice("torch", "only")
    assert "pip install 'attribution[onnx]'" in caplog.text
    monkeypatch.undo()
    caplog.clear()
    graph_path(settings.engines, of(settings, "torch").model_id).write_bytes(b"")
    assert of(settings, "auto").choice == Choice("torch", "only")
    assert "is not what its manifest says" in caplog.text
    with pytest.raises(EngineUnavailable, match="is not what its manifest says"):
        of(settings, "onnx")


def test_answers_and_their_encoder_are_the_same_by_either_engine(settings):
    found = {}
    for engine in ("torch", "onnx"):
        with serving(settings.model_copy(update={"engine": engine}), None) as served:
            if not found:
                for seed in range(8):
                    served.add(seed)
            found[engine] = served.ask(variation(3))
            assert served.client.get("/v1/index").json()["engine"] == {
                "name": engine, "why": "set", "rates": [],
            }  # fmt: skip
    torch, onnx = found["torch"], found["onnx"]
    assert torch["model_id"] == onnx["model_id"]
    for here, there in zip(torch["sources"], onnx["sources"], strict=True):
        assert here["source_id"] == there["source_id"]
        assert here["score"] == pytest.approx(there["score"], abs=1e-4)


def test_what_was_chosen_and_measured_is_told(settings, onnx_is_faster, caplog):
    caplog.set_level("INFO")
    with serving(settings, None) as served:
        served.add(0)
        told = served.client.get("/v1/index").json()["engine"]
        assert (told["name"], told["why"]) == ("onnx", "measured")
        assert told["rates"][0] == {"engine": "torch", "batch": 1, "queries_per_second": 30.25}
        metrics = served.client.get("/metrics").text
    assert 'attribution_engine_queries_per_second{batch="8",engine="onnx"} 320.0' in metrics
    assert 'engine="onnx"' in next(
        line for line in metrics.splitlines() if line.startswith("attribution_encoder_info{")
    )
    words = "onnx (queries a second: torch 30.2 alone, 242 in eights; onnx 40 alone, 320 in eights)"
    assert words in caplog.text
    where = ("--data", settings.data, "--encoder", settings.encoder)
    assert words in " ".join(call("index", *where).out.split())
    assert call("index", *where, "--json").document["engine"]["engine"] == "onnx"


def test_a_folder_of_pictures_may_be_compared_on_and_torch_may_stay_set(
    encoder_folder, tmp_path, monkeypatch
):
    where = ("--data", tmp_path / "data", "--encoder", encoder_folder)
    Catalog.open(tmp_path / "data").close()
    done = call("engine", "show", *where)
    assert done.code == 1
    assert f"exported to {tmp_path / 'data' / 'engines'}" in done.err
    picture(0).save(tmp_path / "0.png")
    (tmp_path / "1.jpg").write_bytes(b"\xff\xd8\xff nothing")
    monkeypatch.setenv("ATTRIBUTION_ENGINE", "torch")
    monkeypatch.setattr(choosing, "measure", lambda encoders: FAST_ONNX)
    done = call("engine", "build", "--images", tmp_path, *where)
    assert done.code == 0, done.err
    assert "pictures compared   1" in done.out
    assert "left out" in done.err
    assert "ATTRIBUTION_ENGINE is torch" in done.err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert call("engine", "build", "--images", empty, *where).code == 2


def test_a_device_that_is_no_processor_is_refused(settings):
    encoder = of(settings, "torch")
    encoder.device = type(encoder.device)("meta")
    with pytest.raises(EngineUnavailable, match="ATTRIBUTION_DEVICE to cpu"):
        engines.with_engine(settings.model_copy(update={"engine": "onnx"}), encoder)
    assert engines.with_engine(settings, encoder) is encoder
