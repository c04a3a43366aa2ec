"""`attribution verify`: is everything in the data folder as it should be?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import options
from app.cli.console import out, print_json, warn
from app.settings import Settings

if TYPE_CHECKING:
    from attribution.catalog import Catalog
    from models.encoder import Encoder


def verify_command(
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended, and say what cannot.")
    ] = False,
    restored: Annotated[
        bool,
        typer.Option(
            "--restored",
            help="First trust no index made before: the catalog's database was brought back by "
            "other tools than `attribution restore`, such as pg_restore.",
        ),
    ] = False,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Check catalog, previews and index, each by itself and against the others.

    Reads everything. Works beside a running service, though a snapshot is mended only without one.

    Exits with 1 when something is wrong, or still is after --repair.
    """
    from attribution.maintenance import verify  # torch: seconds

    settings = options.settings_from(data=data, encoder=encoder, weights=weights)
    named = encoder is not None or weights is not None
    verdict = verify(
        settings.data,
        lambda catalog: _encoder_of(settings, catalog, named=named),
        snapshots=settings.snapshots,
        url=settings.database_url,
        index_url=settings.index_url,
        repair=repair,
        restored=restored,
    )
    if as_json:
        print_json({**asdict(verdict), "sound": verdict.sound})
    else:
        out.print(f"{verdict.sources} sources at generation {verdict.generation}")
        for finding in verdict.findings:
            advice = f"; {finding.advice}" if finding.advice else ""
            warn(f"{finding.state}: {finding.kind}: {finding.detail}{advice}")
        out.print("all sound" if verdict.sound else "not sound")
    if not verdict.sound:
        raise typer.Exit(1)


def _encoder_of(settings: Settings, catalog: Catalog, *, named: bool) -> Encoder:
    """The encoder named on the command line, else the catalog's active one or the settings'.

    Asked of a catalog that is open already: opening it drops the trace of a damaged log, which is
    looked for before.

    Raises:
        EncoderUnavailable: the active one cannot be loaded.
    """
    from attribution.opening.load import load_registered  # torch: seconds
    from models.loading import load_encoder

    active = catalog.encoders.registry().active_encoder
    if active is not None and not named:
        return load_registered(settings, active).encoder
    return load_encoder(settings.encoder, weights=settings.encoder_weights, device=settings.device)
