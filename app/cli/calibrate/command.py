"""`attribution calibrate`: fits how shares are divided to the sources held."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from app.cli.calibrate.background import keep_addition, make_addition
from app.cli.console import out, print_json, progress
from app.cli.options import (
    DataOption,
    EncoderOption,
    JsonOption,
    WeightsOption,
    encoder_settings_from,
)
from app.encoders.background import extended
from app.encoders.gallery import Gallery, Vision, load_vision, open_gallery
from attribution.calibration.shares.fitting import Examples, FitFigures, cross_validated, fit, score
from attribution.calibration.shares.model import KIND, ShareModel
from attribution.calibration.shares.newest import default_shares
from attribution.rehearsal.examples import NO_SOURCE, Known, examples
from attribution.rehearsal.labelled import labelled
from attribution.rehearsal.rehearsal import QUERIES, rehearsal
from models.loading import load_encoder_background


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was chosen, and how it and the encoder's default do on the same queries.

    Attributes:
        model: the better of the fitted one and the default.
        fitted: whether that is the fitted one.
        figures: of fitted models, each on queries of sources that it has not seen.
        default_log_score: of the default on the same queries.
    """

    model: ShareModel
    fitted: bool
    figures: FitFigures
    default_log_score: float


def calibrate_command(
    queries: Annotated[
        int, typer.Option(min=40, max=10_000, help="Synthetic queries to make.")
    ] = QUERIES,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Fit on labelled queries instead: JSON Lines as `attribution generate` writes "
            "them. Sources are recognised by the bytes of their file, else by uri."
        ),
    ] = None,
    background: Annotated[
        Path | None,
        typer.Option(
            help="Also extend the background, which p-values rest on, by the images of this folder "
            "or tar file: like the images you will be asked about, and none of them from a source "
            "held here. Replaces what was added before."
        ),
    ] = None,
    no_source: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=0.99,
            help="Share of the queries you expect that come from no source you hold.",
        ),
    ] = NO_SOURCE,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same fit.")] = 0,
    data: DataOption = None,
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit how shares are divided to the sources you hold.

    Makes synthetic images from the previews of your own sources, asks for each where it came
    from, once as things are and once as if its sources were not held, and fits the shares to
    what is true. Nothing has to be labelled. Takes a few minutes; may run beside a service, which
    takes the result up within seconds. p-values and decisions do not depend on it, but on the
    background, which --background extends.
    """
    settings = encoder_settings_from(data=data, encoder=encoder, weights=weights)
    vision, added = load_vision(settings), None
    if background is not None:
        added = make_addition(vision, background)
        shipped = load_encoder_background(settings.encoder, vision.encoder)
        vision = Vision(vision.encoder, extended(shipped, added))
    with open_gallery(settings, vision) as gallery, progress() as bar:
        _build(gallery, bar)
        if added is not None and background is not None:
            keep_addition(settings, added, gallery.calibration.report().strata, background)
        if manifest is None:
            known = _rehearsal(gallery, bar, queries, seed)
        else:
            known = labelled(gallery.catalog, manifest)
        asked = bar.add_task("Asking queries with known sources", total=len(known))
        found = examples(
            gallery.attributor,
            known,
            no_source=no_source,
            on_progress=lambda done: bar.update(asked, completed=done),
        )
        outcome = _fitted(found, default_shares(vision.encoder.card))
        stored = gallery.catalog.calibrations.add(
            vision.encoder.model_id,
            KIND,
            outcome.model.parameters,
            _figures(outcome, no_source=no_source, seed=seed),
        )
    if as_json:
        print_json(
            {
                "calibration": stored.calibration_id,
                "shares": outcome.model.id,
                "fitted": outcome.fitted,
                "parameters": outcome.model.parameters,
                "figures": stored.figures,
            }
        )
        return
    _show(outcome, len(known))


def _build(gallery: Gallery, bar: Progress) -> None:
    task = bar.add_task("Scoring the background", total=1)
    gallery.calibration.build()
    bar.update(task, completed=1)


def _rehearsal(gallery: Gallery, bar: Progress, queries: int, seed: int) -> list[Known]:
    task = bar.add_task("Looking for copies among sources", total=None)
    return rehearsal(
        gallery.attributor,
        queries=queries,
        seed=seed,
        on_progress=lambda done, total: bar.update(task, completed=done, total=total),
    )


def _fitted(found: Examples, default: ShareModel) -> Outcome:
    """Fit, judge on held-out sources, and keep the default where it does better there."""
    figures = cross_validated(found, default)
    default_score = score(default, found)
    fitted = figures.log_score <= default_score
    model = fit(found, default) if fitted else default
    return Outcome(model, fitted, figures, default_score)


def _figures(outcome: Outcome, *, no_source: float, seed: int) -> dict[str, Any]:
    return {
        **outcome.figures.rounded(),
        "default_log_score": round(outcome.default_log_score, 4),
        "fitted": outcome.fitted,
        "no_source": no_source,
        "seed": seed,
    }


def _show(outcome: Outcome, queries: int) -> None:
    figures = outcome.figures
    table = Table(title=f"Shares on {queries} queries of held-out sources", title_justify="left")
    for column in ("", "fitted", "constant guess"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row(
        "log score (0 is perfect)",
        f"{figures.log_score:.3f}",
        f"{figures.constant_log_score:.3f}",
    )
    table.add_row(
        "Brier score (0 is perfect)",
        f"{figures.brier_score:.3f}",
        f"{figures.constant_brier_score:.3f}",
    )
    out.print(table)
    out.print(
        f"The share of the first source is off by {figures.rank_1_error:.1%} on average, the "
        f"unattributed share by {figures.unattributed_error:.1%}."
    )
    if outcome.fitted:
        out.print(f"Log score of the default on the same queries: {outcome.default_log_score:.3f}.")
    else:
        out.print(
            f"The default does better, with a log score of {outcome.default_log_score:.3f}, and is "
            "kept. More sources or more queries may change that."
        )
    out.print("Stored; a running service uses it from now on.")
