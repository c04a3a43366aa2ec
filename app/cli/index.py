"""`attribution index`: the state of the index, and building it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import Progress

from app.cli import options
from app.cli.console import facts, progress, show, warn


def index_command(
    build: Annotated[
        bool,
        typer.Option("--rebuild", help="Build it from the catalog, whatever the snapshot says."),
    ] = False,
    save: Annotated[
        bool,
        typer.Option("--save", help="Write a snapshot. Only while no service runs on this folder."),
    ] = False,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Compare it with every row of the catalog: its recall now."),
    ] = False,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Show what the index holds: kind, vectors, generation and measured recall."""
    from attribution.catalog import Catalog  # torch: seconds
    from attribution.catalog.presence import require
    from attribution.index import measured_recall
    from attribution.opening.engines import in_words
    from attribution.opening.gallery import gallery_of
    from attribution.opening.gallery import save as save_gallery
    from attribution.opening.load import load_vision

    settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
    require(settings.data, settings.database_url)
    vision = load_vision(settings)
    with Catalog.existing(settings.data, url=settings.database_url) as catalog:
        with progress() as bar:
            gallery = gallery_of(settings, catalog, vision, anew=build, progress=_shown(bar))
        if save:
            save_gallery(settings, gallery)
        stats = gallery.index.stats()
        recall = measured_recall(catalog, gallery.index) if measure else None
        other = sorted(set(catalog.models()) - {stats.model_id})
    if other and not stats.vectors:
        warn(
            f"The catalog holds embeddings of {', '.join(other)}, none of {stats.model_id}: "
            "choose that encoder with --encoder, or ingest again with this one."
        )
    choice = vision.encoder.choice
    named = {**asdict(stats), "engine": asdict(choice)}
    if recall is not None:
        named["measured_recall_at_10"] = recall
    words = {name: "exact" if value is None else value for name, value in named.items()}
    words["engine"] = in_words(choice)
    show(named, facts(words), as_json=as_json)


def _shown(bar: Progress) -> Callable[[int, int], None]:
    """Shows how far the filling of a Milvus is, from its first rows on."""
    task = bar.add_task("filling the index", total=None, visible=False)
    return lambda done, total: bar.update(task, completed=done, total=total, visible=True)
