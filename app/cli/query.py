"""`attribution query`: images in, ranked sources out, without a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from app.answers import Answer, FreshAnswer
from app.cli import options
from app.cli.asking import open_for_asking, question_of
from app.cli.console import fail, flush_right, out, print_json
from app.cli.wording import decision_in_words, source_name
from app.schemas.attribution import AttributionDocument
from attribution.answer import Attribution

_OF_THE_SERVICE: Any = {
    "request_id": True,
    "timings_ms": True,
    "region_map": True,
    "sources": {"__all__": {"thumbnail_url", "heatmap"}},
}
"""What the HTTP API says besides."""


def query_command(
    images: Annotated[list[Path], typer.Argument(help="Images to attribute.")],
    top_k: options.TopK = 5,
    collection: options.Collections = None,
    alpha: options.Alpha = None,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Which sources did these images come from?

    Prints the decision, then the nearest sources with p-value and share, whatever the decision:
    the nearest source of an image that came from none of yours is still listed, and is not an
    accusation. With --json one line an image. Exits with 1 when an image could not be read.
    """
    settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
    question = question_of(settings, collections=collection, alpha=alpha, top_k=top_k)
    failed = False
    with open_for_asking(settings, question) as asking:
        for path, answer in asking.ask(images):
            if not isinstance(answer, Answer):
                fail(f"{path}: {answer}")
                failed = True
            elif as_json:
                print_json(_document(path, answer), line=True)
            else:
                _show(path, answer.attribution)
    if failed:
        raise typer.Exit(1)


def _show(path: Path, answer: Attribution) -> None:
    # One line to grep.
    out.print(f"{path}: {decision_in_words(answer)}", style="bold", soft_wrap=True)
    columns = flush_right("score", "p-value", "share", "attributed")
    table = Table(*flush_right("rank"), "source", *columns)
    for ranked in answer.sources:
        table.add_row(
            str(ranked.rank),
            source_name(ranked.source),
            f"{ranked.score:.3f}",
            "-" if ranked.p_value is None else f"{ranked.p_value:.2g}",
            f"{ranked.share:.1%}",
            "yes" if ranked.attributed else "no",
        )
    out.print(table)
    out.print(
        f"other sources {answer.other_share:.1%}, no source here {answer.unattributed_share:.1%}"
    )


def _document(path: Path, answered: FreshAnswer) -> dict[str, Any]:
    document = AttributionDocument.of(answered, request_id="")
    return {"path": str(path), **document.model_dump(exclude=_OF_THE_SERVICE)}
