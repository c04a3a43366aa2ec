"""A real service on a real port, with an encoder so small that tests are quick."""

import io
import os
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image, ImageFilter
from torch import Tensor
from torch.nn import functional

from app.encoders.load import Vision
from app.factory import open_app
from app.server import run_beside
from app.service.service import Service
from app.settings import Settings
from models.backbones.features import Backbone, Features
from models.background import Background, thumbnail
from models.card import BackboneCard, Card, PartCard
from models.encoder import Encoder
from models.heads.affine import Head
from models.images.preprocessing import Preprocessing
from tests.support.waiting import PATIENCE

SIDE = 8


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in [name for name in os.environ if name.upper().startswith("ATTRIBUTION_")]:
        monkeypatch.delenv(name)


class ThumbnailBackbone(Backbone):
    """64 numbers: the luminance of an 8 x 8 thumbnail, its mean taken off."""

    dimension = SIDE * SIDE
    patch_dimension = 3

    def forward(self, images: Tensor) -> Features:
        luminance = images.mean(dim=1, keepdim=True)
        small = functional.adaptive_avg_pool2d(luminance, SIDE).flatten(1)
        small = small - small.mean(dim=1, keepdim=True)
        return Features(small + 1e-4, images)


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


def picture(seed: int, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """Soft random colours: every seed another picture."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int = 92) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=quality)
    return written.getvalue()


def png(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def variation(seed: int) -> bytes:
    """What a generator might make of picture `seed`: blurred and laundered."""
    return jpeg(picture(seed).filter(ImageFilter.GaussianBlur(1.5)), quality=60)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return thumbnail_encoder()


@pytest.fixture(scope="session")
def background(encoder) -> Background:
    return background_of(encoder)


def background_of(encoder: Encoder) -> Background:
    images = [picture(seed) for seed in range(10_000, 10_300)]
    return Background(
        encoder.model_id,
        encoder.encode(images, domain="query"),
        np.stack([thumbnail(image) for image in images]),
    )


@dataclass
class Running:
    """A served application and a client for it."""

    client: httpx.Client
    service: Service
    url: str
    connections: Collection[object]
    """What the server holds open now."""

    def add(self, seed: int, **parameters: str) -> dict:
        response = self.client.post(
            "/v1/sources", params=parameters, files={"file": (f"{seed}.jpg", jpeg(picture(seed)))}
        )
        assert response.status_code in (200, 201), response.text
        return response.json()

    def ask(self, data: bytes, **parameters) -> dict:
        response = self.client.post("/v1/attributions", params=parameters, files={"file": data})
        assert response.status_code == 200, response.text
        return response.json()


@contextmanager
def serving(settings: Settings, encoder: Encoder, background: Background | None = None):
    """Serve on a free loopback port until the block ends."""
    vision = None if encoder is None else Vision(encoder, background)
    with socket.socket() as listener, open_app(settings, vision) as app:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            run_beside(app, settings, listener, log_level="warning", proxy_headers=False) as server,
            httpx.Client(base_url=url, timeout=PATIENCE / 2, trust_env=False) as client,
        ):
            while client.get("/readyz").status_code != 200:
                time.sleep(0.01)
            yield Running(client, app.state.service, url, server.server_state.connections)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", inference_threads=1)


@pytest.fixture
def running(settings, encoder, background) -> Iterator[Running]:
    with serving(settings, encoder, background) as served:
        yield served


@pytest.fixture(scope="module")
def shared(tmp_path_factory, encoder, background) -> Iterator[Running]:
    """One service for the tests of a module that do not disturb each other."""
    settings = Settings(data=tmp_path_factory.mktemp("service"), inference_threads=1)
    with serving(settings, encoder, background) as served:
        yield served
