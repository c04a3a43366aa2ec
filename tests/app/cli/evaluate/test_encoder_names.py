"""Encoders that are compared keep apart, whatever their cards are called."""

import json

from app.cli.evaluate.methods import load_encoders
from models import load_encoder
from models.checkpoints import CARD
from tests.support.encoders import make_encoder


def test_encoders_whose_cards_agree_are_called_as_they_were_given(tmp_path, monkeypatch):
    make_encoder(tmp_path / "first", 1)
    name = load_encoder(str(tmp_path / "first")).card.name
    make_encoder(tmp_path / name, 2)
    card = tmp_path / name / CARD
    card.write_text(json.dumps(json.loads(card.read_text()) | {"name": name}))
    monkeypatch.chdir(tmp_path)  # so that one is given by the very name on both cards

    found = load_encoders(["first", name, "first"], "cpu")

    assert list(found) == ["first", name]
    assert len({encoder.model_id for encoder in found.values()}) == 2
    assert list(load_encoders(["first"], "cpu")) == [name]
