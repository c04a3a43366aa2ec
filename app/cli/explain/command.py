"""`attribution explain`: a picture of where an image resembles its sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from app.cli import options
from app.cli.asked import Asked
from app.cli.console import flush_right, one_line, out, print_json
from app.cli.failures import BadInvocation
from app.cli.neighbour import neighbour_of
from app.cli.wording import decision_in_words, warn_of_nothing_held

if TYPE_CHECKING:
    from app.cli.explain.finding import Found

_TOP_K = 10


def explain_command(
    image: Annotated[
        Path,
        typer.Argument(parser=options.path_given, metavar="IMAGE", help="Image to explain."),
    ],
    out_file: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            parser=options.path_given,
            metavar="PATH",
            help="PNG to write; its folder must exist.",
        ),
    ] = Path("explanation.png"),
    collection: options.Collections = None,
    alpha: options.Alpha = None,
    guarantee: options.Guarantee = None,
    key_file: options.KeyFile = None,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Draw where an image resembles its sources.

    Writes a picture: the image, its regions with the attributed source that each resembles most,
    and for each attributed source (at most 10) a heat map over the image and one over the source.
    Where no source is attributed, the first 3 listed are drawn, which accuses nobody, and no
    region is assigned. Resemblance of a region is not proof that it was taken from there.
    """
    options.require_folder(out_file)
    if out_file.suffix.lower() != ".png":
        raise BadInvocation(f"--out {out_file}: a PNG is written, so its name ends in .png")
    from app.cli.explain.finding import found_here, found_next_door  # quick --help
    from app.cli.explain.picture import explanation_picture

    settings = options.settings_from(data=data, encoder=encoder, weights=weights)
    asked = Asked.of(
        settings, top_k=_TOP_K, alpha=alpha, collections=collection, guarantee=guarantee
    )
    named = bool(encoder) or weights is not None
    found = None
    with neighbour_of(settings, key_file, named=named) as neighbour:
        if neighbour is not None:
            found = found_next_door(neighbour, settings, asked, image)
    if found is None:
        found = found_here(options.with_active_encoder(settings, named=named), asked, image)
    explanation_picture(
        found.query,
        found.explanation,
        found.rows,
        out_file,
        title=image.name,
        subtitle=decision_in_words(found.answer),
    )
    if as_json:
        print_json(_document(image, out_file, found))
    else:
        _show(image, out_file, found)
    if found.answer.reason == "nothing-held":
        warn_of_nothing_held(settings.data, collection or ())


def _show(image: Path, out_file: Path, found: Found) -> None:
    out.print(f"{one_line(image)}: {decision_in_words(found.answer)}", style="bold", soft_wrap=True)
    if found.answer.reason != "nothing-held":
        _show_areas(found)
    sources = "1 source" if len(found.rows) == 1 else f"{len(found.rows)} sources"
    out.print(f"{out_file}: heat maps of {sources}", soft_wrap=True)


def _show_areas(found: Found) -> None:
    table = Table(*flush_right("rank"), "source", *flush_right("area"))
    names = {row.maps.rank: row.name for row in found.rows}
    for region in found.explanation.regions:
        table.add_row(str(region.rank), names[region.rank], f"{region.fraction:.0%}")
    table.add_row("", "no source", f"{found.explanation.none_fraction:.0%}")
    out.print(table)


def _document(image: Path, out_file: Path, found: Found) -> dict[str, object]:
    answer, explanation = found.answer, found.explanation
    return {
        "path": str(image),
        "picture": str(out_file),
        "decision": answer.decision,
        "reason": answer.reason,
        "p_value": answer.p_value,
        "regions": [
            {"rank": each.rank, "source_id": each.source_id, "fraction": each.fraction}
            for each in explanation.regions
        ],
        "none_fraction": explanation.none_fraction,
        "explained": [each.source_id for each in explanation.sources],
    }
