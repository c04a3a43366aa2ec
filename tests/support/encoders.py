"""Two encoders on the disk, small enough to be quick, each with a background of its own."""

import json
from pathlib import Path

import numpy as np
import torch

from models import load_encoder
from models.backbones.residual import ResidualNet
from models.background import BACKGROUND, Background, thumbnail, write_background
from models.card import BackboneCard, Card, PartCard
from models.checkpoints import CARD, save_encoder
from models.images.preprocessing import Preprocessing
from tests.app.conftest import picture

WIDTHS = (8, 8, 8)


def make_encoder(folder: Path, seed: int, *, background: int = 150) -> str:
    """Write a network of random weights with `background` pictures; returns its model_id."""
    torch.manual_seed(seed)
    backbone = ResidualNet(WIDTHS, (0, 0, 0)).eval()
    card = Card(
        name=f"small-{seed}",
        backbone=BackboneCard(name="residual", widths=WIDTHS, blocks=(0, 0, 0)),
        preprocessing=Preprocessing(height=32, width=32),
        parts=(PartCard(name="whole", head="none", dimension=backbone.dimension),),
    )
    images = [picture(number) for number in range(10_000, 10_000 + max(background, 50))]
    save_encoder(folder, card, backbone, ())
    reference = load_encoder(str(folder)).encode(images[-50:])
    save_encoder(folder, card, backbone, (), reference=reference)
    encoder = load_encoder(str(folder))
    if background:
        rows = encoder.encode(images, domain="query")
        known = Background(encoder.model_id, rows, np.stack([thumbnail(image) for image in images]))
        write_background(folder / BACKGROUND, known)
    assert json.loads((folder / CARD).read_text())["name"] == card.name
    return encoder.model_id
