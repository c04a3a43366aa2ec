"""`attribution calibrate`: fits how shares are divided to the sources held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import Progress
from rich.table import Table

from app.cli import options
from app.cli.calibrate.background import keep_addition, make_addition
from app.cli.calibrate.generated import (
    DIFFUSION,
    Generation,
    generated_queries,
    generation_from,
)
from app.cli.console import flush_right, out, print_json, progress
from app.cli.failures import BadInvocation
from app.cli.images import ImagesLeftOut
from app.settings import Settings
from attribution.calibration.shares.fitting import (
    Examples,
    FitFigures,
    fit,
    held_out_shares,
    judged,
    score,
)
from attribution.calibration.shares.model import KIND, ShareModel
from attribution.calibration.shares.newest import RECALL, default_shares
from attribution.calibration.shares.recall import Recall, depths_of
from attribution.catalog import Catalog, CatalogMissing
from attribution.catalog.presence import require_place
from attribution.opening.background import extended
from attribution.opening.gallery import OpenedGallery, open_gallery
from attribution.opening.load import Vision, load_vision
from attribution.rehearsal.examples import NO_SOURCE, Known, examples
from attribution.rehearsal.labelled import knowing_copies, labelled
from attribution.rehearsal.queries import REHEARSED
from attribution.rehearsal.rehearsal import QUERIES, rehearsal
from attribution.synthesis.diffusion.recipe import PAPER
from models.loading import load_encoder_background


@dataclass(frozen=True, slots=True)
class ChosenShares:
    """What was chosen, and how it and the encoder's default do on the same queries.

    Attributes:
        model: the better of the fitted one and the default.
        fitted: whether that is the fitted one.
        figures: of fitted models, each on queries of sources that it has not seen.
        default_log_score: of the default on the same queries.
        depths: of each query with a source held; see `Recall`.
    """

    model: ShareModel
    fitted: bool
    figures: FitFigures
    default_log_score: float
    depths: NDArray[np.float64]


def calibrate_command(
    invocation: typer.Context,
    queries: Annotated[
        int, typer.Option(min=40, max=10_000, help="Synthetic queries to make.")
    ] = QUERIES,
    manifest: Annotated[
        Path | None,
        typer.Option(
            parser=options.path_given,
            metavar="PATH",
            help="Fit on labelled queries instead: JSON Lines as `attribution generate` writes "
            "them. Sources are recognised by the bytes of their file, else by uri, and what shows "
            "the same with them.",
        ),
    ] = None,
    generator: Annotated[
        Literal["patch", "diffusion"],
        typer.Option(
            help="What makes the queries: `patch` needs nothing; `diffusion` tunes a text-to-image "
            "model to the sources, which takes hours and a GPU, and goes on where it was stopped."
        ),
    ] = "patch",
    model: Annotated[
        str | None,
        typer.Option(help="diffusion: as for `attribution generate`."),
    ] = None,
    made: Annotated[
        Path | None,
        typer.Option(
            parser=options.path_given, metavar="PATH", help="diffusion: folder to work in."
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(min=16, max=1024, help="diffusion: side of the images in pixels.")
    ] = PAPER.size,
    epochs: Annotated[
        int, typer.Option(min=1, help="diffusion: times that every source is learnt from.")
    ] = PAPER.epochs,
    device: Annotated[str, typer.Option(help="diffusion: where torch computes.")] = "cpu",
    background: Annotated[
        Path | None,
        typer.Option(
            parser=options.path_given,
            metavar="PATH",
            help="Also extend the background, which p-values rest on, by the images of this folder "
            "or tar file: like the images you will be asked about, and none of them from a source "
            "held here. Replaces what was added before.",
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
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Fit how shares are divided to the sources you hold.

    Makes synthetic images from the previews of your own sources, asks for each where it came
    from, once as things are and once as if its sources were not held, and fits the shares to
    what is true. Nothing has to be labelled. Takes a few minutes; with --generator diffusion hours,
    which are said before they begin. May run beside a service, which takes the result up within
    seconds. p-values and decisions do not depend on it, but on the background, which --background
    extends. Images of it that cannot be read are left out and listed; exits with 1 when there
    were any.
    """
    if generator == "diffusion" and manifest is not None:
        raise BadInvocation("give either --manifest or --generator diffusion")
    if generator == "patch":
        options.refuse_of_other_generator(invocation, generator, "diffusion")
    diffusion = (
        generation_from(model, made, size, epochs, device, seed)
        if generator == "diffusion"
        else None
    )
    settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
    _require_writable(settings, or_missing=background is not None)
    vision, added, left_out = load_vision(settings), None, ImagesLeftOut()
    if background is not None:
        added = make_addition(vision, background, left_out)
        Catalog.open(settings.data, url=settings.database_url).close()  # may be added beforehand
        shipped = load_encoder_background(settings.encoder, vision.encoder)
        vision = Vision(vision.encoder, extended(shipped, added))
    with open_gallery(settings, vision) as gallery, progress() as bar:
        _build(gallery, bar)
        if added is not None and background is not None:
            keep_addition(settings, added, gallery.calibration.report().strata, background)
        known, kinds = _known(gallery, bar, queries, manifest, diffusion, seed)
        asked = bar.add_task("Asking queries with known sources", total=len(known))
        found = examples(
            gallery.attributor,
            known,
            no_source=no_source,
            on_progress=lambda done: bar.update(asked, completed=done),
        )
        default = default_shares(vision.encoder.card).believing(no_source).model
        chosen = _choose(found, default)
        recall = Recall.measured(chosen.depths, f"{kinds}, {len(chosen.depths)} of them")
        stored = gallery.catalog.calibrations.add(
            vision.encoder.model_id,
            KIND,
            chosen.model.parameters,
            {**_figures(chosen, no_source=no_source, seed=seed), RECALL: recall.document},
        )
    if as_json:
        print_json(
            {
                "calibration": stored.calibration_id,
                "shares": chosen.model.id,
                "fitted": chosen.fitted,
                "parameters": chosen.model.parameters,
                "figures": stored.figures,
            }
        )
    else:
        _show(chosen, len(known))
        _show_recall(recall)
    if left_out:
        left_out.tell("the background was extended without")
        raise typer.Exit(1)


def _known(
    gallery: OpenedGallery,
    bar: Progress,
    queries: int,
    manifest: Path | None,
    diffusion: Generation | None,
    seed: int,
) -> tuple[list[Known], str]:
    """The queries to ask, and their kinds in words."""
    if manifest is not None:
        return _labelled(gallery, bar, manifest), f"labelled queries of {manifest.name}"
    if diffusion is None:
        return _rehearsal(gallery, bar, queries, seed), REHEARSED
    bar.stop()  # only one may be shown, and this has its own
    found = generated_queries(gallery.catalog, diffusion, queries)
    bar.start()
    return _labelled(gallery, bar, found), DIFFUSION


def _require_writable(settings: Settings, *, or_missing: bool) -> None:
    """Refuse what could not be kept before it is worked out, which may take hours."""
    try:
        with Catalog.existing(settings.data, url=settings.database_url) as catalog:
            catalog.require_writable()
    except CatalogMissing:
        if not or_missing:
            raise
        require_place(settings.data)


def _build(gallery: OpenedGallery, bar: Progress) -> None:
    task = bar.add_task("Scoring the background", total=1)
    gallery.calibration.build()
    bar.update(task, completed=1)


def _labelled(gallery: OpenedGallery, bar: Progress, manifest: Path) -> list[Known]:
    found = labelled(gallery.catalog, manifest)
    return knowing_copies(gallery.attributor, found, on_progress=_looking_for_copies(bar))


def _rehearsal(gallery: OpenedGallery, bar: Progress, queries: int, seed: int) -> list[Known]:
    return rehearsal(
        gallery.attributor, queries=queries, seed=seed, on_progress=_looking_for_copies(bar)
    )


def _looking_for_copies(bar: Progress) -> Callable[[int, int], None]:
    task = bar.add_task("Looking for copies among sources", total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def _choose(found: Examples, default: ShareModel) -> ChosenShares:
    """Fit, judge on held-out sources, and keep the default where it does better there."""
    held_out = held_out_shares(found, default)
    figures, default_score = judged(held_out, found), score(default, found)
    fitted = figures.log_score <= default_score
    model = fit(found, default) if fitted else default
    shares = held_out if fitted else default.divide(found.statistics, found.p_values)
    held = found.credit[:, -1] < 1
    depths = depths_of(shares[held], found.credit[held])
    return ChosenShares(model, fitted, figures, default_score, depths)


def _figures(chosen: ChosenShares, *, no_source: float, seed: int) -> dict[str, Any]:
    return {
        **chosen.figures.rounded(),
        "default_log_score": round(chosen.default_log_score, 4),
        "fitted": chosen.fitted,
        "no_source": no_source,
        "seed": seed,
    }


def _show(chosen: ChosenShares, queries: int) -> None:
    fitted = chosen.figures
    title = f"Shares on {queries} queries of held-out sources"
    table = Table("", *flush_right("fitted", "constant guess"), title=title, title_justify="left")
    for name, value, constant in (
        ("log score", fitted.log_score, fitted.constant_log_score),
        ("Brier score", fitted.brier_score, fitted.constant_brier_score),
    ):
        table.add_row(f"{name} (0 is perfect)", f"{value:.3f}", f"{constant:.3f}")
    out.print(table)
    out.print(
        f"The share of the first source is off by {fitted.rank_1_error:.1%} on average, the "
        f"unattributed share by {fitted.unattributed_error:.1%}."
    )
    if chosen.fitted:
        out.print(f"Log score of the default on the same queries: {chosen.default_log_score:.3f}.")
    else:
        out.print(
            f"The default does better, with a log score of {chosen.default_log_score:.3f}, and is "
            "kept. More sources or more queries may change that."
        )
    out.print("Stored; a running service uses it from now on.")


def _show_recall(recall: Recall) -> None:
    if recall.largest:
        out.print(
            f"`--recall` up to {recall.largest:g} lists as few sources as hold a true one that "
            "often in queries like these."
        )
