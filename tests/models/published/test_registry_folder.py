"""Encoder folders whose network is a published one: stored whole, no download needed."""

import json
from dataclasses import replace

import pytest
import torch

from models.card import BackboneCard, Card, PartCard
from models.checkpoints import BadCheckpoint, load_backbone, load_encoder_folder, save_encoder
from models.heads import AffineMap, HeadPart
from models.images.preprocessing import Preprocessing
from models.published import registry, timm_hub


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An encoder of one block under the name dino-vits16, with a nearly identical linear head."""
    small = replace(registry.spec("dino-vits16"), options={"depth": 1})
    monkeypatch.setattr(registry, "PUBLISHED", {**registry.PUBLISHED, small.name: small})

    def refuse(name):
        raise AssertionError(f"{name} was to be downloaded")

    monkeypatch.setattr(timm_hub, "fetch", refuse)
    torch.manual_seed(0)
    backbone = registry.without_weights("dino-vits16")
    with torch.no_grad():
        backbone.network.norm.bias[0] = 70_000.0  # more than float16 holds
    change = 1e-3 * torch.randn(384, 384)
    head = AffineMap(torch.zeros(384), torch.eye(384) + change)
    card = Card(
        name="small",
        backbone=BackboneCard(name="dino-vits16"),
        preprocessing=Preprocessing(height=64, width=64),
        parts=(PartCard(name="whole", head="linear", dimension=384),),
    )
    save_encoder(tmp_path, card, backbone, (HeadPart("whole", head),))
    return tmp_path, backbone, change


def test_the_network_comes_back_in_evaluation_mode_without_a_download(folder):
    path, backbone, _ = folder
    first, second = load_encoder_folder(path), load_encoder_folder(path)
    assert first.model_id == second.model_id
    assert not first.backbone.training
    kept = first.backbone.state_dict()
    for name, tensor in backbone.state_dict().items():
        assert kept[name].dtype == torch.float32
        assert torch.allclose(kept[name], tensor, rtol=1e-3, atol=1e-6), name


def test_a_linear_head_keeps_small_changes_of_the_identity(folder):
    path, _, change = folder
    stored = load_encoder_folder(path).head.source["whole"].weight - torch.eye(384)
    off_diagonal = ~torch.eye(384, dtype=torch.bool)
    error = (stored - change)[off_diagonal].norm() / change[off_diagonal].norm()
    assert error < 1e-3


def test_the_network_alone_can_be_trained_further(folder):
    path, backbone, _ = folder
    assert load_backbone(path).state_dict().keys() == backbone.state_dict().keys()


@pytest.mark.parametrize(
    ("name", "message"),
    [("dino-vits61", "did you mean"), ("dino-vits8", "does not fit its card")],
)
def test_a_card_that_names_another_network_is_refused(folder, name, message):
    path, *_ = folder
    card = json.loads((path / "card.json").read_text())
    card["backbone"]["name"] = name
    (path / "card.json").write_text(json.dumps(card))
    with pytest.raises(BadCheckpoint, match=message):
        load_encoder_folder(path)
