"""`attribution engine`: what runs the encoder's network, torch or ONNX Runtime."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image

from app.cli import options
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

engine_group = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Export the encoder's network for ONNX Runtime, and see which engine is faster here.

Needs the extra `onnx`. What is exported lies in the data folder, and `serve` and every other
command choose the faster engine at their start; ATTRIBUTION_ENGINE forces `torch` or `onnx`. Rows
are the same within 1e-4, so nothing has to be embedded again.""",
)

IMAGES = 200
"""That both engines are compared on."""


@engine_group.command("build")
def build_command(
    images: Annotated[
        Path | None,
        typer.Option(
            parser=options.path_given,
            metavar="PATH",
            help="Compare the engines on pictures of this folder or tar file, the first 200 by "
            "name, instead of on drawn ones.",
        ),
    ] = None,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Export the network, compare it with torch, keep it, and measure both.

    Nothing is kept where a row differs from torch's by more than 1e-4. A service takes up what was
    exported at its next start.
    """
    settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
    loaded = _load(settings)
    pictures = drawn(IMAGES) if images is None else _pictures_of(images, settings)
    build(loaded, settings.engines, torch.stack([loaded.preprocess(each) for each in pictures]))
    _show(settings, loaded, as_json=as_json)


@engine_group.command("show")
def show_command(
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Measure the engines that there are, and say which one is chosen here."""
    settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
    _show(settings, _load(settings), as_json=as_json)


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


def _show(settings: Settings, encoder: Encoder, *, as_json: bool) -> None:
    """What was exported, and how fast each engine is."""
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
