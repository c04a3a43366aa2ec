"""The faster engine is chosen by running both, and what was measured is remembered for a day."""

import time
from dataclasses import dataclass
from datetime import timedelta

import pytest
import torch

from models.engine import Choice, Engine, Rate
from models.exported import choosing, remembered
from models.exported.choosing import by_faster, faster, measure
from models.exported.pictures import drawn
from models.exported.stored import EngineUnavailable, build, rates_path
from models.loading import load_encoder
from tests.support.encoders import make_encoder


@dataclass
class Slowed:
    """An engine that takes longer; or gives other rows."""

    engine: Engine
    seconds: float = 0.0
    shift: float = 0.0
    name: str = "onnx"

    def learnt(self, images):
        time.sleep(self.seconds)
        return self.engine.learnt(images) + self.shift


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    make_encoder(folder, 1, background=0)
    return load_encoder(str(folder))


@pytest.fixture
def built(encoder, tmp_path):
    build(encoder, tmp_path, torch.stack([encoder.preprocess(each) for each in drawn(4)]))
    return tmp_path


def test_both_are_measured_alone_and_in_eights_and_rows_are_compared(encoder):
    slow = encoder.by(Slowed(encoder.engine, seconds=0.05), Choice("onnx"))
    rates = measure([encoder, slow], seconds=0)
    assert [(rate.engine, rate.batch) for rate in rates] == [
        ("torch", 1), ("onnx", 1), ("torch", 8), ("onnx", 8),
    ]  # fmt: skip
    assert rates[1].queries_per_second < 20
    assert rates[3].queries_per_second < 160
    assert faster(rates) == "torch"
    assert encoder.engine.name == "torch", "measuring changes nothing"


@pytest.mark.parametrize("shift", [0.1, float("nan")])
def test_an_engine_of_other_rows_is_not_measured(encoder, shift):
    other = encoder.by(Slowed(encoder.engine, shift=shift), Choice("onnx"))
    with pytest.raises(EngineUnavailable, match="differ from torch's"):
        measure([encoder, other], seconds=0)


def test_the_product_over_sizes_decides_and_of_equals_torch_is_taken():
    def rates(*of_onnx):
        return [
            *(Rate("torch", batch, 10.0) for batch in (1, 8)),
            *(Rate("onnx", batch, rate) for batch, rate in zip((1, 8), of_onnx, strict=True)),
        ]

    assert faster(rates(20.0, 6.0)) == "onnx"
    assert faster(rates(20.0, 4.0)) == "torch"
    assert faster(rates(10.0, 10.0)) == "torch"


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_the_encoder_is_run_by_the_one_that_was_faster(encoder, built, monkeypatch, engine):
    found = tuple(
        Rate(name, batch, 2.0 if name == engine else 1.0)
        for batch in (1, 8)
        for name in ("torch", "onnx")
    )
    monkeypatch.setattr(choosing, "measure", lambda encoders: found)
    chosen = by_faster(encoder, built)
    assert chosen.engine.name == chosen.choice.engine == engine
    assert (chosen.choice.why, chosen.choice.rates) == ("measured", found)


def test_it_is_measured_once_a_day_in_the_same_circumstances(encoder, built, monkeypatch):
    measured = []

    def note(encoders):
        measured.append([each.engine.name for each in encoders])
        return (Rate("torch", 1, 1.0), Rate("onnx", 1, 2.0))

    monkeypatch.setattr(choosing, "measure", note)
    for _ in range(2):
        assert by_faster(encoder, built).engine.name == "onnx"
    assert measured == [["torch", "onnx"]]
    by_faster(encoder, built, anew=True)
    assert len(measured) == 2

    threads = torch.get_num_threads()
    monkeypatch.setattr(remembered.torch, "get_num_threads", lambda: threads + 1)
    by_faster(encoder, built)
    assert len(measured) == 3
    by_faster(encoder, built)
    assert len(measured) == 3
    monkeypatch.setattr(remembered, "KEPT", timedelta())
    by_faster(encoder, built)
    assert len(measured) == 4


def test_what_cannot_be_remembered_is_measured_again(encoder, built, monkeypatch):
    monkeypatch.setattr(choosing, "measure", lambda encoders: (Rate("torch", 1, 1.0),))
    path = rates_path(built, encoder.model_id)
    path.mkdir()  # nothing can be written there
    assert by_faster(encoder, built).choice.why == "measured"
    assert not list(path.iterdir())
    path.rmdir()
    path.write_text("{")
    assert by_faster(encoder, built).choice.why == "measured"
    assert "torch" in path.read_text()
