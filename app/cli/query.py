"""`attribution query`: images in, ranked sources out, with a service or without one.

Imports nothing heavy: where a service runs on the data folder, no network is loaded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from app.cli import options
from app.cli.console import fail, flush_right, note, out, print_json
from app.cli.neighbour import Neighbour, neighbour_of, parameters_of
from app.cli.wording import decision_in_words, source_name
from app.schemas.attribution import AttributionDocument
from app.settings import Settings

_OF_THE_SERVICE: Any = {
    "request_id": True,
    "timings_ms": True,
    "region_map": True,
    "sources": {"__all__": {"thumbnail_url", "heatmap"}},
}
"""What the HTTP API says besides."""

Answered = Iterator[tuple[Path, AttributionDocument | Exception]]
"""Each image with its answer, or with what is wrong with its file."""


def query_command(
    images: Annotated[list[Path], typer.Argument(help="Images to attribute.")],
    top_k: options.TopK = 5,
    collection: options.Collections = None,
    alpha: options.Alpha = None,
    key_file: options.KeyFile = None,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Which sources did these images come from?

    Prints the decision, then the nearest sources with p-value and share, whatever the decision:
    the nearest source of an image that came from none of yours is still listed, and is not an
    accusation. With --json one line an image. Exits with 1 when an image could not be read.

    A service that runs on the data folder is asked, unless --encoder or --weights is given; that
    is said on stderr.
    """
    settings = options.settings_from(data=data, encoder=encoder, weights=weights)
    asked = parameters_of(
        top_k=top_k, alpha=settings.alpha if alpha is None else alpha, collections=collection
    )
    failed = False
    with ExitStack() as opened:
        neighbour = None
        if encoder is None and weights is None:
            neighbour = neighbour_of(settings, key_file, say=note)
        here = _Here(settings, asked, opened, encoder=encoder, weights=weights)
        answers = here.ask(images)
        if neighbour is not None:
            opened.enter_context(closing(neighbour))
            answers = _ask_next_door(neighbour, settings, asked, images, here.ask)
        for path, answer in answers:
            if isinstance(answer, Exception):
                fail(f"{path}: {answer}")
                failed = True
            elif as_json:
                print_json(_document(path, answer), line=True)
            else:
                _show(path, answer)
    if failed:
        raise typer.Exit(1)


class _Here:
    """Answers in this process, which loads what that takes once it is asked."""

    def __init__(
        self,
        settings: Settings,
        asked: dict[str, Any],
        opened: ExitStack,
        *,
        encoder: str | None,
        weights: Path | None,
    ) -> None:
        self._settings, self._asked, self._opened = settings, asked, opened
        self._named = encoder is not None or weights is not None
        self._asking: Any = None

    def ask(self, images: Iterable[Path]) -> Answered:
        """See `Asking.ask`."""
        from app.cli.asking import open_for_asking, question_of  # noqa: PLC0415  # torch: seconds
        from app.encoders.load import active_settings_of_folder  # noqa: PLC0415

        if self._asking is None:
            settings = self._settings
            if not self._named:
                settings = active_settings_of_folder(settings)
            question = question_of(
                settings,
                collections=self._asked["collection"],
                alpha=self._asked["alpha"],
                top_k=self._asked["top_k"],
            )
            self._asking = self._opened.enter_context(open_for_asking(settings, question))
        for path, answer in self._asking.ask(images):
            if isinstance(answer, Exception):
                yield path, answer
            else:
                yield path, AttributionDocument.of(answer, request_id="")


def _ask_next_door(
    neighbour: Neighbour,
    settings: Settings,
    asked: dict[str, Any],
    images: Sequence[Path],
    otherwise: Callable[[Iterable[Path]], Answered],
) -> Answered:
    """Answers from a service; what it does not answer is looked into here, which says why."""
    said = False
    for path in images:
        document = None
        try:
            if path.stat().st_size <= settings.max_image_bytes:
                document = neighbour.attribute(path.read_bytes(), asked)
            answer = None if document is None else AttributionDocument.model_validate(document)
        except (OSError, ValidationError):  # no such file; a service of another version
            answer = None
        if answer is None or answer.calibration.state == "building":
            yield from otherwise([path])
            continue
        if not said:
            note(f"answered by the service at {neighbour.url}")
            said = True
        yield path, answer


def _show(path: Path, answer: AttributionDocument) -> None:
    # One line to grep.
    out.print(f"{path}: {decision_in_words(answer)}", style="bold", soft_wrap=True)
    columns = flush_right("score", "p-value", "share", "attributed")
    table = Table(*flush_right("rank"), "source", *columns)
    for ranked in answer.sources:
        table.add_row(
            str(ranked.rank),
            source_name(ranked),
            f"{ranked.score:.3f}",
            "-" if ranked.p_value is None else f"{ranked.p_value:.2g}",
            f"{ranked.share:.1%}",
            "yes" if ranked.attributed else "no",
        )
    out.print(table)
    out.print(
        f"other sources {answer.other_share:.1%}, no source here {answer.unattributed_share:.1%}"
    )


def _document(path: Path, answer: AttributionDocument) -> dict[str, Any]:
    return {"path": str(path), **answer.model_dump(exclude=_OF_THE_SERVICE)}
