"""Fills in what another encoder makes of every source, and changes to it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from app.cli.console import progress, show, warn
from app.cli.failures import BadInvocation
from app.cli.wording import GIVES_ONE
from app.settings import Settings
from attribution.catalog import (
    Catalog,
    CatalogError,
    CoverageIncomplete,
    EncoderActive,
    RegisteredEncoder,
)
from attribution.maintenance import ReembedReport, fill_embeddings
from attribution.opening.load import (
    active_place,
    load_vision,
    place_for,
    registered_name,
    registered_weights,
)
from models.encoder import Encoder

_ROUNDS = 10  # of filling in what was added while the round before was under way


class NotTheEncoderThatServes(CatalogError):
    """The settings of this command name another encoder than those of the service."""


def change(
    settings: Settings,
    *,
    encoder: str | None,
    weights: Path | None,
    activate: bool,
    back: bool,
    drop: str | None,
    batch: int,
    as_json: bool,
) -> bool:
    """Do what the command was told, and say what came of it; whether every source is covered."""
    with Catalog.existing(settings.data, url=settings.database_url) as catalog:
        if drop is not None:
            _refuse_what_serves(catalog, settings, drop)
            _say({"model_id": drop, "dropped": catalog.encoders.drop(drop)}, as_json=as_json)
            return True
        if encoder is None and not back:
            _list(catalog, as_json=as_json)
            return True
        catalog.require_writable()
        wanted = _previous(catalog) if back else _named(catalog, encoder or "", weights)
        vision = load_vision(place_for(settings, wanted))
        loaded = vision.encoder
        if wanted.model_id not in ("", loaded.model_id):
            raise NotTheEncoderThatServes(
                f"{wanted.name} is encoder {loaded.model_id} now, not {wanted.model_id} any more"
            )
        _hold_on_to_what_serves(catalog, settings, batch, loaded)
        catalog.encoders.register(RegisteredEncoder(loaded.model_id, wanted.name, wanted.weights))
        report = _fill(catalog, loaded, batch)
        if activate or back:
            report = _activate(catalog, loaded, batch, report)
            if vision.background is None:
                warn(
                    f"encoder {loaded.model_id} has no background: its answers decide nothing. "
                    f"{GIVES_ONE}"
                )
        coverage = catalog.encoders.coverage(loaded.model_id)
        active = catalog.encoders.registry().active
    state = {"coverage": f"{coverage.embedded} of {coverage.sources}", "active": active}
    _say({**asdict(report), **state}, as_json=as_json)
    if report.lacking:
        warn(f"{len(report.lacking)} sources have no readable preview: `attribution verify`")
    return not report.lacking


def _refuse_what_serves(catalog: Catalog, settings: Settings, model_id: str) -> None:
    """Where none was ever activated, a service loads what the settings name: that is not dropped.

    Raises:
        EncoderActive: it is that one.
    """
    if catalog.encoders.registry().active is not None:
        return  # the catalog knows
    if load_vision(active_place(settings, catalog)).encoder.model_id == model_id:
        raise EncoderActive(model_id)


def _named(catalog: Catalog, encoder: str, weights: Path | None) -> RegisteredEncoder:
    """Where an encoder is found; without a `model_id` unless the catalog knows it by that."""
    known = catalog.encoders.registry().find(encoder)
    if known is not None and weights is None:
        return known
    return RegisteredEncoder("", registered_name(encoder), registered_weights(weights))


def _previous(catalog: Catalog) -> RegisteredEncoder:
    registry = catalog.encoders.registry()
    previous = None if registry.previous is None else registry.find(registry.previous)
    if previous is None:
        raise BadInvocation("there is no encoder to go back to; `attribution reembed` shows all")
    return previous


def _hold_on_to_what_serves(
    catalog: Catalog, settings: Settings, batch: int, wanted: Encoder
) -> None:
    """Before a second encoder comes, write down the first, which serves.

    Services embed under both from then on, and it is what `--back` goes back to. There is none
    where the one that is wanted is what the settings name, and has no row yet: sources were added
    with one that is here no more, as after a release with another bundled encoder.

    Raises:
        NotTheEncoderThatServes: no source has an embedding of what the settings name.
    """
    if catalog.encoders.registry().active is not None:
        return
    present = active_place(settings, catalog)
    loaded = load_vision(present).encoder
    coverage = catalog.encoders.coverage(loaded.model_id)
    if coverage.sources and not coverage.embedded:
        if loaded.model_id == wanted.model_id:
            return
        others = ", ".join(catalog.models()) or "none"
        raise NotTheEncoderThatServes(
            f"the settings name encoder {present.encoder} ({loaded.model_id}), of which no source "
            f"has an embedding (there are those of {others}): set ATTRIBUTION_ENCODER to the one "
            "that the service has"
        )
    name = registered_name(present.encoder)
    place = registered_weights(present.encoder_weights)
    catalog.encoders.register(RegisteredEncoder(loaded.model_id, name, place))
    _activate(catalog, loaded, batch, fill_embeddings(catalog, loaded, batch_size=batch))


def _fill(catalog: Catalog, encoder: Encoder, batch: int) -> ReembedReport:
    before = catalog.encoders.coverage(encoder.model_id)
    with progress() as bar:
        task = bar.add_task("Embedding", total=before.sources - before.embedded)
        return fill_embeddings(
            catalog, encoder, batch_size=batch, on_progress=lambda done: bar.advance(task, done)
        )


def _activate(
    catalog: Catalog, encoder: Encoder, batch: int, report: ReembedReport
) -> ReembedReport:
    """Activate once everything is filled in, what arrives in the last moment too.

    Raises:
        CoverageIncomplete: a preview is missing, or sources come faster than they are filled in.
    """
    embedded = report.embedded
    for attempt in range(1, _ROUNDS + 1):
        try:
            catalog.encoders.activate(encoder.model_id)
        except CoverageIncomplete:
            if report.lacking or attempt == _ROUNDS:
                raise
            report = fill_embeddings(catalog, encoder, batch_size=batch)
            embedded += report.embedded
        else:
            break
    return ReembedReport(encoder.model_id, embedded, report.lacking)


def _list(catalog: Catalog, *, as_json: bool) -> None:
    registry = catalog.encoders.registry()
    rows = []
    for coverage in catalog.encoders.every():
        place = registry.find(coverage.model_id)
        rows.append(
            {
                **asdict(coverage),
                "name": None if place is None else place.name,
                "weights": None if place is None else place.weights,
                "active": coverage.model_id == registry.active,
                "previous": coverage.model_id == registry.previous,
            }
        )
    table = Table("model_id", "encoder", "embedded", "", box=None, pad_edge=False)
    for row in rows:
        state = "active" if row["active"] else "before" if row["previous"] else ""
        embedded = f"{row['embedded']} of {row['sources']}"
        table.add_row(row["model_id"], row["name"] or "not registered", embedded, state)
    show(rows, table, as_json=as_json)


def _say(document: dict[str, Any], *, as_json: bool) -> None:
    lines = (f"{name}: {value}" for name, value in document.items())
    show(document, "\n".join(lines), as_json=as_json)
