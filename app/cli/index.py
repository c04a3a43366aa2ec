"""`attribution index`: the state of the index, and building it again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from app.cli import options
from app.cli.console import facts, show, warn


def index_command(
    build: Annotated[
        bool,
        typer.Option("--rebuild", help="Build it from the catalog, whatever the snapshot says."),
    ] = False,
    save: Annotated[
        bool,
        typer.Option("--save", help="Write a snapshot. Only while no service runs on this folder."),
    ] = False,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Show what the index holds: kind, vectors, generation and measured recall."""
    from attribution.catalog import Catalog  # noqa: PLC0415  # torch: seconds
    from attribution.catalog.presence import require  # noqa: PLC0415
    from attribution.opening.engines import in_words  # noqa: PLC0415
    from attribution.opening.gallery import gallery_of  # noqa: PLC0415
    from attribution.opening.gallery import save as save_gallery  # noqa: PLC0415
    from attribution.opening.load import load_vision  # noqa: PLC0415

    settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
    require(settings.data, settings.database_url)
    vision = load_vision(settings)
    with Catalog.existing(settings.data, url=settings.database_url) as catalog:
        gallery = gallery_of(settings, catalog, vision, anew=build)
        if save:
            save_gallery(settings, gallery)
        stats = gallery.index.stats()
        other = sorted(set(catalog.models()) - {stats.model_id})
    if other and not stats.vectors:
        warn(
            f"The catalog holds embeddings of {', '.join(other)}, none of {stats.model_id}: "
            "choose that encoder with --encoder, or ingest again with this one."
        )
    choice = vision.encoder.choice
    named = {**asdict(stats), "engine": asdict(choice)}
    words = {name: "exact" if value is None else value for name, value in named.items()}
    words["engine"] = in_words(choice)
    show(named, facts(words), as_json=as_json)
