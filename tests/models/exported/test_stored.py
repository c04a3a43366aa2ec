"""Exported networks in a folder: compared before they are kept, checked before they are run."""

import json

import numpy as np
import pytest
import torch

from models.digests import sha256_of
from models.engine import Choice
from models.exported import stored
from models.exported.graph import residual_graph
from models.exported.pictures import drawn
from models.exported.stored import (
    EngineUnavailable,
    build,
    graph_path,
    load_engine,
    manifest_path,
    read_manifest,
)
from models.loading import load_encoder
from tests.support.encoders import make_encoder, trained_network
from tests.support.pictures import picture


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    make_encoder(folder, 1, background=0)
    return load_encoder(str(folder))


@pytest.fixture(scope="module")
def pixels(encoder):
    return torch.stack([encoder.preprocess(each) for each in drawn(20)])


@pytest.fixture
def built(encoder, pixels, tmp_path):
    build(encoder, tmp_path, pixels)
    return tmp_path


def test_the_exported_network_gives_the_rows_of_torch_under_the_same_id(encoder, built):
    engine, manifest = load_engine(encoder, built)
    exported = encoder.by(engine, Choice("onnx", "set"))
    images = [picture(seed) for seed in range(6)]
    for domain in ("source", "query"):
        apart = exported.encode(images, domain=domain) - encoder.encode(images, domain=domain)
        assert np.abs(apart).max() < 1e-4
    assert exported.model_id == encoder.model_id == manifest.model_id
    assert (exported.choice.engine, encoder.choice.engine) == ("onnx", "torch")
    assert np.array_equal(exported.patches(images), encoder.patches(images))


def test_the_manifest_says_what_it_was_made_from_and_how_near_it_comes(encoder, built):
    manifest = read_manifest(built, encoder)
    assert manifest.images == 20
    assert 0 < manifest.largest_difference < 1e-5
    assert 0.99999 < manifest.cosine_min <= manifest.cosine_mean < 1.00001
    assert set(manifest.versions) == {"onnx", "onnxruntime", "torch"}
    assert manifest.weights_sha256.startswith(stored.weights_sha256(encoder.backbone))
    assert sorted(path.name for path in (built / encoder.model_id).iterdir()) == [
        "float32.json",
        "float32.onnx",
    ]


def test_a_network_that_gives_other_rows_is_not_kept(encoder, pixels, tmp_path, monkeypatch):
    def export_another(encoder, path):
        path.write_bytes(
            residual_graph(trained_network((8, 8, 8), (0, 0, 0)), 32, 32).SerializeToString()
        )

    monkeypatch.setattr(stored, "export_network", export_another)
    with pytest.raises(EngineUnavailable, match="nothing is kept"):
        build(encoder, tmp_path, pixels)
    assert not list((tmp_path / encoder.model_id).iterdir())


def test_what_was_never_exported_says_how_to(encoder, tmp_path):
    with pytest.raises(EngineUnavailable, match="`attribution engine build` does it"):
        load_engine(encoder, tmp_path)


@pytest.mark.parametrize(
    "damage",
    ["a byte", "no graph", "no json", "unknown field", "another encoder", "no graph of onnx"],
)
def test_what_is_damaged_or_of_another_encoder_is_refused(encoder, built, damage):
    graph, manifest = (path(built, encoder.model_id) for path in (graph_path, manifest_path))
    content = json.loads(manifest.read_text())
    if damage == "a byte":
        graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    elif damage == "no graph":
        graph.unlink()
    elif damage == "no graph of onnx":  # whose manifest fits
        graph.write_bytes(b"nothing of the kind")
        content["graph_sha256"] = sha256_of(graph)
    elif damage == "no json":
        content = "["
    elif damage == "unknown field":
        content["colour"] = "red"
    else:
        content["model_id"] = "another"
    manifest.write_text(json.dumps(content))
    with pytest.raises(EngineUnavailable, match="`attribution engine build` makes it again"):
        load_engine(encoder, built)
