"""Encoders so small that tests are quick, and backgrounds of their own."""

import json
import threading
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models import load_encoder
from models.backbones.features import Backbone, Features
from models.backbones.residual import ResidualNet
from models.background import BACKGROUND, Background, thumbnail, write_background
from models.card import BackboneCard, Card, PartCard
from models.checkpoints import CARD, save_encoder
from models.encoder import Encoder
from models.heads.affine import Head
from models.images.preprocessing import Preprocessing
from tests.support.pictures import picture
from tests.support.waiting import PATIENCE

SIDE = 8
WIDTHS = (8, 8, 8)


class ThumbnailBackbone(Backbone):
    """64 numbers: the luminance of an 8 x 8 thumbnail, its mean taken off."""

    dimension = SIDE * SIDE
    patch_dimension = 3

    def forward(self, images: Tensor) -> Features:
        luminance = images.mean(dim=1, keepdim=True)
        small = functional.adaptive_avg_pool2d(luminance, SIDE).flatten(1)
        small = small - small.mean(dim=1, keepdim=True)
        return Features(small + 1e-4, images)


class Gate(ThumbnailBackbone):
    """Lets forward passes through while it is open, and counts the images of each.

    It may be told to close by itself after so many images.
    """

    def __init__(self):
        super().__init__()
        self.open = threading.Event()
        self.open.set()
        self.passes: list[int] = []
        self.closes_after: int | None = None
        self.broken = False

    def forward(self, images):
        assert self.open.wait(PATIENCE)
        self.passes.append(len(images))
        if self.closes_after is not None and sum(self.passes) >= self.closes_after:
            self.open.clear()
        if self.broken:
            raise RuntimeError("out of memory")
        return super().forward(images)


def thumbnail_encoder(backbone: Backbone | None = None, *, mirrored_query: bool = False) -> Encoder:
    card = Card(
        name="thumbnail",
        backbone=BackboneCard(name="thumbnail"),
        preprocessing=Preprocessing(height=32, width=32),
        parts=(PartCard(name="whole", head="none", dimension=SIDE * SIDE),),
        mirrored_query=mirrored_query,
    )
    backbone = backbone or ThumbnailBackbone()
    bare = Encoder(card, backbone, Head(SIDE * SIDE))
    reference = bare.encode([picture(seed) for seed in range(20_000, 20_050)])
    return Encoder(card, backbone, Head(SIDE * SIDE), reference=reference)


def background_of(encoder: Encoder, n: int = 300) -> Background:
    images = [picture(seed) for seed in range(10_000, 10_000 + n)]
    return Background(
        encoder.model_id,
        encoder.encode(images, domain="query"),
        np.stack([thumbnail(image) for image in images]),
    )


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
    save_encoder(folder, card, backbone, ())
    last = 10_000 + max(background, 50)
    images = [picture(number) for number in range(last - 50, last)]
    reference = load_encoder(str(folder)).encode(images)
    save_encoder(folder, card, backbone, (), reference=reference)
    encoder = load_encoder(str(folder))
    if background:
        write_background(folder / BACKGROUND, background_of(encoder, max(background, 50)))
    assert json.loads((folder / CARD).read_text())["name"] == card.name
    return encoder.model_id


def trained_network(
    widths: tuple[int, ...] = (8, 8, 16, 16), blocks: tuple[int, ...] = (1, 0, 2, 0)
) -> ResidualNet:
    """Random weights, in which scales, shifts and statistics matter as after training."""
    torch.manual_seed(0)
    net = ResidualNet(widths, blocks).eval()
    with torch.no_grad():
        for tensor in (*net.parameters(), *net.buffers()):
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    return net
