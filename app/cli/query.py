"""`attribution query`: images in, ranked sources out, without a service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from app.cli.console import fail, out, print_json
from app.cli.options import (
    AlphaOption,
    CollectionsOption,
    DataOption,
    EncoderOption,
    JsonOption,
    WeightsOption,
    encoder_settings_from,
)
from app.encoders.gallery import decoding_limits, load_vision, open_gallery
from attribution.answer import Attribution, RankedSource
from models.images.decoding import DecodedImage, DecodingLimits, ImageError, ImageTooLarge, decode


@dataclass(frozen=True, slots=True)
class _Read:
    path: Path
    decoded: DecodedImage


def query_command(
    images: Annotated[list[Path], typer.Argument(help="Images to attribute.")],
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=100)] = 5,
    collection: CollectionsOption = None,
    alpha: AlphaOption = None,
    data: DataOption = None,
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Which sources did these images come from?

    Prints the decision, then the nearest sources with p-value and share, whatever the decision:
    the nearest source of an image that came from none of yours is still listed, and is not an
    accusation. With --json one line an image. Exits with 1 when an image could not be read.
    """
    settings = encoder_settings_from(data=data, encoder=encoder, weights=weights)
    read, failed = _read_all(images, decoding_limits(settings))
    if not read:
        raise typer.Exit(1)
    vision = load_vision(settings)
    with open_gallery(settings, vision) as gallery:
        gallery.prepare(collection or ())
        rows = vision.encoder.encode([item.decoded.image for item in read], domain="query")
        answers = gallery.attributor.attribute(
            rows,
            top_k=top_k,
            collections=frozenset(collection) if collection else None,
            alpha=settings.alpha if alpha is None else alpha,
        )
    for item, answer in zip(read, answers, strict=True):
        if as_json:
            print_json(_document(item, answer), line=True)
        else:
            _show(item.path, answer)
    if failed:
        raise typer.Exit(1)


def _read_all(paths: list[Path], limits: DecodingLimits) -> tuple[list[_Read], int]:
    read: list[_Read] = []
    for path in paths:
        try:
            if path.stat().st_size > limits.max_bytes:
                raise ImageTooLarge(f"the file is larger than {limits.max_bytes} bytes")
            read.append(_Read(path, decode(path.read_bytes(), limits=limits)))
        except (ImageError, OSError) as error:
            fail(f"{path}: {error}")
    return read, len(paths) - len(read)


def _show(path: Path, answer: Attribution) -> None:
    out.print(f"{path}: {verdict(answer)}", style="bold", soft_wrap=True)  # one line to grep
    table = Table()
    for column in ("rank", "source", "score", "p-value", "share", "attributed"):
        table.add_column(column, justify="left" if column == "source" else "right")
    for ranked in answer.sources:
        table.add_row(*source_cells(ranked))
    out.print(table)
    out.print(
        f"other sources {answer.other_share:.1%}, no source here {answer.unattributed_share:.1%}"
    )


def verdict(answer: Attribution) -> str:
    """The decision in words."""
    if answer.decision is None:
        return "ranked only: this encoder has no background, so nothing is decided"
    if answer.decision == "no_source_found":
        return f"no source found (p = {answer.p_value:.2g}, alpha = {answer.alpha:g})"
    return f"attributed (p = {answer.p_value:.2g}, alpha = {answer.alpha:g})"


def source_cells(ranked: RankedSource) -> tuple[str, ...]:
    """One row of the table of sources."""
    return (
        str(ranked.rank),
        ranked.source.title or ranked.source.uri or ranked.source.source_id,
        f"{ranked.score:.3f}",
        "-" if ranked.p_value is None else f"{ranked.p_value:.2g}",
        f"{ranked.share:.1%}",
        "yes" if ranked.attributed else "no",
    )


def _document(item: _Read, answer: Attribution) -> dict[str, Any]:
    return {
        "path": str(item.path),
        "model_id": answer.model_id,
        "index_generation": answer.index_generation,
        "decision": answer.decision,
        "p_value": answer.p_value,
        "alpha": answer.alpha,
        "calibration": {"id": answer.calibration.id, "state": answer.calibration.state},
        "other_share": answer.other_share,
        "unattributed_share": answer.unattributed_share,
        "sources": [
            {
                "rank": ranked.rank,
                "source_id": ranked.source.source_id,
                "collection": ranked.source.collection,
                "score": ranked.score,
                "p_value": ranked.p_value,
                "share": ranked.share,
                "attributed": ranked.attributed,
                "uri": ranked.source.uri,
                "title": ranked.source.title,
                "creator": ranked.source.creator,
                "licence": ranked.source.licence,
            }
            for ranked in answer.sources
        ],
        "query": {
            "sha256": item.decoded.sha256,
            "width": item.decoded.width,
            "height": item.decoded.height,
            "format": item.decoded.format,
        },
    }
