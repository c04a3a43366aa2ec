"""A session of ONNX Runtime: as many threads as it was given, and safe for many who ask."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from models.exported import extra
from models.exported.graph import residual_graph
from models.exported.session import OnnxEngine
from tests.support.encoders import trained_network

TASKS = Path("/proc/self/task")


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "net.onnx"
    path.write_bytes(residual_graph(trained_network(), 32, 32).SerializeToString())
    return path


def test_many_threads_may_ask_one_session_at_once(graph):
    engine = OnnxEngine(graph, threads=2)
    images = torch.randn(40, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = [engine.learnt(each[None]) for each in images]
    with ThreadPoolExecutor(4) as pool:
        for found, alone in zip(
            pool.map(lambda each: engine.learnt(each[None]), images), expected, strict=True
        ):
            assert torch.equal(found, alone)


@pytest.mark.skipif(not TASKS.exists(), reason="counts threads as Linux lists them")
def test_it_has_as_many_threads_as_torch(graph, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    OnnxEngine(graph, threads=1)  # what is begun once for all sessions
    before = sum(1 for _ in TASKS.iterdir())
    engine = OnnxEngine(graph)
    engine.learnt(torch.zeros(2, 3, 32, 32))
    assert sum(1 for _ in TASKS.iterdir()) - before == 2  # besides the one that asks


def test_what_is_not_installed_is_named_with_its_extra(graph, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"needs onnxruntime.*pip install 'attribution\[onnx\]'"):
        OnnxEngine(graph)
    with pytest.raises(ValueError, match="none of"):
        extra.library("json")
