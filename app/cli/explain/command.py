"""`attribution explain`: a picture of where an image resembles its sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from app.cli import options
from app.cli.asking import open_for_asking, question_of
from app.cli.console import flush_right, out, print_json
from app.cli.explain.picture import ShownSource, explanation_picture
from app.cli.failures import BadInvocation
from app.cli.wording import decision_in_words, source_name
from attribution.answer import Attribution, RankedSource
from attribution.explanation import Explanation, Previewed


def explain_command(
    image: Annotated[Path, typer.Argument(help="Image to explain.")],
    out_file: Annotated[
        Path, typer.Option("--out", "-o", help="PNG to write; its folder must exist.")
    ] = Path("explanation.png"),
    collection: options.Collections = None,
    alpha: options.Alpha = None,
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
    settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
    question = question_of(settings, collections=collection, alpha=alpha)
    with open_for_asking(settings, question) as asking:
        answered = asking.ask_one(image)
        explanation, previewed = asking.explain(answered)
    answer, rows = answered.attribution, _rows(explanation, previewed)
    explanation_picture(
        answered.query.image,
        explanation,
        rows,
        out_file,
        title=image.name,
        subtitle=decision_in_words(answer),
    )
    if as_json:
        print_json(_document(image, out_file, answer, explanation))
    else:
        _show(image, out_file, answer, explanation, rows)


def _rows(explanation: Explanation, previewed: Sequence[Previewed]) -> list[ShownSource]:
    areas = {each.rank: each.fraction for each in explanation.regions}
    return [
        ShownSource(
            maps,
            each.image,
            source_name(each.ranked.source),
            _lines(each.ranked, areas.get(maps.rank)),
        )
        for maps, each in zip(explanation.sources, previewed, strict=True)
    ]


def _lines(ranked: RankedSource, area: float | None) -> tuple[str, ...]:
    credit = ", ".join(filter(None, (ranked.source.creator, ranked.source.licence)))
    chance = "no p-value" if ranked.p_value is None else f"p = {ranked.p_value:.2g}"
    said = "attributed" if ranked.attributed else "not attributed: shown for comparison only"
    covered = "" if area is None else f"{area:.0%} of the image resembles it most"
    figures = f"{chance}, share {ranked.share:.1%}"
    return tuple(filter(None, (credit, said, figures, covered)))


def _show(
    image: Path,
    out_file: Path,
    answer: Attribution,
    explanation: Explanation,
    rows: Sequence[ShownSource],
) -> None:
    out.print(f"{image}: {decision_in_words(answer)}", style="bold", soft_wrap=True)
    table = Table(*flush_right("rank"), "source", *flush_right("area"))
    names = {row.maps.rank: row.name for row in rows}
    for region in explanation.regions:
        table.add_row(str(region.rank), names[region.rank], f"{region.fraction:.0%}")
    table.add_row("", "no source", f"{explanation.none_fraction:.0%}")
    out.print(table)
    sources = "1 source" if len(rows) == 1 else f"{len(rows)} sources"
    out.print(f"{out_file}: heat maps of {sources}", soft_wrap=True)


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
