"""`attribution explain`: a picture of where an image resembles its sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from app.cli.console import out, print_json
from app.cli.explain.picture import Row, explanation_picture
from app.cli.explained import explained
from app.cli.failures import BadInvocation
from app.cli.options import (
    AlphaOption,
    CollectionsOption,
    DataOption,
    EncoderOption,
    JsonOption,
    WeightsOption,
    encoder_settings_from,
    require_folder,
)
from app.cli.query import verdict
from app.encoders.gallery import decoding_limits, load_vision, open_gallery
from attribution.answer import Attribution, RankedSource
from attribution.explanation import Explanation, Previewed
from models.images.decoding import decode


def explain_command(
    image: Annotated[Path, typer.Argument(help="Image to explain.")],
    out_file: Annotated[
        Path, typer.Option("--out", "-o", help="PNG to write; its folder must exist.")
    ] = Path("explanation.png"),
    collection: CollectionsOption = None,
    alpha: AlphaOption = None,
    data: DataOption = None,
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw where an image resembles its sources.

    Writes a picture: the image, its regions with the attributed source that each resembles most,
    and for each attributed source (at most 10) a heat map over the image and one over the source.
    Where no source is attributed, the first 3 listed are drawn, which accuses nobody, and no
    region is assigned. Resemblance of a region is not proof that it was taken from there.
    """
    require_folder(out_file)
    if out_file.suffix.lower() != ".png":
        raise BadInvocation(f"--out {out_file}: a PNG is written, so its name ends in .png")
    settings = encoder_settings_from(data=data, encoder=encoder, weights=weights)
    decoded = decode(image.read_bytes(), limits=decoding_limits(settings))
    vision = load_vision(settings)
    with open_gallery(settings, vision) as gallery:
        gallery.prepare(collection or ())
        [answer] = gallery.attributor.attribute(
            vision.encoder.encode([decoded.image], domain="query"),
            collections=frozenset(collection) if collection else None,
            alpha=settings.alpha if alpha is None else alpha,
        )
        explanation, previewed = explained(gallery.catalog, vision.encoder, decoded.image, answer)
    rows = _rows(explanation, previewed)
    explanation_picture(
        decoded.image, explanation, rows, out_file, title=image.name, subtitle=verdict(answer)
    )
    if as_json:
        print_json(_document(image, out_file, answer, explanation))
    else:
        _show(image, out_file, answer, explanation, rows)


def _rows(explanation: Explanation, previewed: Sequence[Previewed]) -> list[Row]:
    areas = {each.rank: each.fraction for each in explanation.regions}
    return [
        Row(maps, each.image, _name(each.ranked), _lines(each.ranked, areas.get(maps.rank)))
        for maps, each in zip(explanation.sources, previewed, strict=True)
    ]


def _lines(ranked: RankedSource, area: float | None) -> tuple[str, ...]:
    credit = ", ".join(filter(None, (ranked.source.creator, ranked.source.licence)))
    chance = "no p-value" if ranked.p_value is None else f"p = {ranked.p_value:.2g}"
    said = "attributed" if ranked.attributed else "not attributed: shown for comparison only"
    covered = "" if area is None else f"{area:.0%} of the image resembles it most"
    figures = f"{chance}, share {ranked.share:.1%}"
    return tuple(filter(None, (credit, said, figures, covered)))


def _name(ranked: RankedSource) -> str:
    return ranked.source.title or ranked.source.uri or ranked.source.source_id


def _show(
    image: Path, out_file: Path, answer: Attribution, explanation: Explanation, rows: Sequence[Row]
) -> None:
    out.print(f"{image}: {verdict(answer)}", style="bold", soft_wrap=True)
    table = Table()
    for column in ("rank", "source", "area"):
        table.add_column(column, justify="left" if column == "source" else "right")
    names = {row.maps.rank: row.name for row in rows}
    for region in explanation.regions:
        table.add_row(str(region.rank), names[region.rank], f"{region.fraction:.0%}")
    table.add_row("", "no source", f"{explanation.none_fraction:.0%}")
    out.print(table)
    out.print(f"{out_file}: heat maps of {_count(len(rows), 'source')}", soft_wrap=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _document(
    image: Path, out_file: Path, answer: Attribution, explanation: Explanation
) -> dict[str, object]:
    return {
        "path": str(image),
        "picture": str(out_file),
        "decision": answer.decision,
        "p_value": answer.p_value,
        "regions": [
            {"rank": each.rank, "source_id": each.source_id, "fraction": each.fraction}
            for each in explanation.regions
        ],
        "none_fraction": explanation.none_fraction,
        "explained": [each.source_id for each in explanation.sources],
    }
