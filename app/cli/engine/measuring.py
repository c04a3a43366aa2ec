"""Exports an encoder's network, and measures the engines that run it."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from PIL import Image

from app.cli.console import facts, note, show, warn
from app.cli.failures import BadInvocation
from app.inference.upload import decoding_limits
from app.settings import Settings
from attribution.catalog import Catalog
from attribution.opening.engines import in_words
from attribution.training.data.images import read_pictures
from models.encoder import Encoder
from models.exported.choosing import by_faster
from models.exported.pictures import drawn
from models.exported.stored import EngineUnavailable, build, graph_path, read_manifest
from models.loading import load_encoder
from models.processor import size_pools

IMAGES = 200
"""That both engines are compared on."""


def export(settings: Settings, images: Path | None) -> Encoder:
    """Export the network, compare it with torch on pictures of a folder or drawn ones, keep it."""
    loaded = _load(settings)
    pictures = drawn(IMAGES) if images is None else _pictures_of(images, settings)
    build(loaded, settings.engines, torch.stack([loaded.preprocess(each) for each in pictures]))
    return loaded


def _load(settings: Settings) -> Encoder:
    """The encoder by torch.

    Raises:
        CatalogMissing: there is nothing that it could be used on.
        EngineUnavailable: it is to run where ONNX Runtime does not.
    """
    Catalog.existing(settings.data, url=settings.database_url).close()
    if settings.device != "cpu":
        raise EngineUnavailable(f"engine onnx runs on the processor, not on {settings.device}")
    size_pools(settings.inference_threads)
    return load_encoder(settings.encoder, weights=settings.encoder_weights, device=settings.device)


def _pictures_of(folder: Path, settings: Settings) -> list[Image.Image]:
    """The first pictures of a folder that can be read."""
    found: list[Image.Image] = []
    if folder.exists():
        pictures = read_pictures(
            [folder],
            on_left_out=lambda name, reason: warn(f"left out {name}: {reason}"),
            limits=decoding_limits(settings),
        )
        found = list(islice(pictures, IMAGES))
    if not found:
        raise BadInvocation(f"--images {folder}: there is no picture in it that can be read")
    return found


def show_engines(settings: Settings, loaded: Encoder | None = None, *, as_json: bool) -> None:
    """Say what was exported, and how fast each engine is."""
    encoder = loaded or _load(settings)
    choice = by_faster(encoder, settings.engines, anew=True).choice
    manifest = read_manifest(settings.engines, encoder)
    path = graph_path(settings.engines, encoder.model_id)
    document = {
        **manifest.model_dump(),
        "graph": path,
        "faster": choice.engine,
        "rates": [asdict(rate) for rate in choice.rates],
    }
    words = {
        "encoder": f"{manifest.encoder} ({manifest.model_id})",
        "exported": path,
        "pictures compared": manifest.images,
        "largest difference": f"{manifest.largest_difference:.1e}",
        "least cosine": f"{manifest.cosine_min:.7f}",
        "faster here": in_words(choice),
    }
    show(document, facts(words), as_json=as_json)
    if settings.engine not in ("auto", choice.engine):
        note(f"ATTRIBUTION_ENGINE is {settings.engine}, so that one is used")
