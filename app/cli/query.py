"""`attribution query`: images in, ranked sources out, with a service or without one.

Imports nothing heavy: where a service runs on the data folder, no network is loaded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from app.cli import options
from app.cli.asked import Asked
from app.cli.console import fail_about, flush_right, one_line, out, print_json, warn
from app.cli.neighbour import Neighbour, neighbour_of
from app.cli.wording import UNLIKE_BACKGROUND, decision_in_words, source_name, warn_of_nothing_held
from app.schemas.attribution import AttributionDocument, RankedSource
from app.schemas.credentials import CredentialsDocument
from app.settings import Settings
from models.images.notes import HOW_TURNED

_MATCHES = {None: "", "identical": " (this very file)", "copy": " (this very picture)"}
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
    images: Annotated[
        list[Path],
        typer.Argument(parser=options.path_given, metavar="IMAGES", help="Images to attribute."),
    ],
    top_k: options.TopK = 5,
    collection: options.Collections = None,
    alpha: options.Alpha = None,
    guarantee: options.Guarantee = None,
    no_source: options.NoSource = None,
    recall: options.Recall = None,
    any_way_up: options.AnyWayUp = False,
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
    asked = Asked.of(
        settings,
        top_k=top_k,
        alpha=alpha,
        collections=collection,
        guarantee=guarantee,
        no_source=no_source,
        recall=recall,
        any_way_up=any_way_up,
    )
    named = bool(encoder) or weights is not None
    failed = nothing_held = False
    with ExitStack() as opened:
        neighbour = opened.enter_context(neighbour_of(settings, key_file, named=named))
        here = _Here(settings, asked, opened, named=named)
        if neighbour is not None:
            answers = _ask_next_door(neighbour, settings, asked, images, here.ask)
        else:
            here.require()
            answers = here.ask(images)
        for path, answer in answers:
            if isinstance(answer, Exception):
                fail_about(path, answer)
                failed = True
                continue
            nothing_held |= answer.reason == "nothing-held"
            if as_json:
                print_json(_document(path, answer), line=True)
            else:
                _show(path, answer)
    if nothing_held:
        warn_of_nothing_held(settings.data, collection or ())
    if failed:
        raise typer.Exit(1)


class _Here:
    """Answers in this process, which loads what that takes once it is asked."""

    def __init__(
        self,
        settings: Settings,
        asked: Asked,
        opened: ExitStack,
        *,
        named: bool,
    ) -> None:
        self._settings, self._asked, self._opened = settings, asked, opened
        self._named = named
        self._asking: Any = None

    def require(self) -> None:
        """Find out before the images are read that there is a catalog.

        Raises:
            CatalogMissing, CatalogUnusable: see `attribution.catalog.presence`.
        """
        from attribution.catalog.presence import require  # SQLAlchemy

        require(self._settings.data, self._settings.database_url)

    def ask(self, images: Iterable[Path]) -> Answered:
        """See `Asking.ask`."""
        from app.cli.asking import open_for_asking, question_of  # torch: seconds

        if self._asking is None:
            settings = options.with_active_encoder(self._settings, named=self._named)
            question = question_of(self._asked)
            self._asking = self._opened.enter_context(open_for_asking(settings, question))
        for path, answer in self._asking.ask(images):
            if isinstance(answer, Exception):
                yield path, answer
            else:
                yield path, AttributionDocument.of(answer, request_id="")


def _ask_next_door(
    neighbour: Neighbour,
    settings: Settings,
    asked: Asked,
    images: Sequence[Path],
    otherwise: Callable[[Iterable[Path]], Answered],
) -> Answered:
    """Answers from a service; what it does not answer is looked into here, which says why."""
    for path in images:
        answer = neighbour.attribute(path, asked, AttributionDocument, settings.max_image_bytes)
        if answer is None:
            yield from otherwise([path])
        else:
            yield path, answer


def _show(path: Path, answer: AttributionDocument) -> None:
    # One line to grep.
    out.print(f"{one_line(path)}: {decision_in_words(answer)}", style="bold", soft_wrap=True)
    if answer.reason is not None:
        return
    if answer.unlike_background:
        warn(UNLIKE_BACKGROUND)
    columns = flush_right("score", "p-value", "share", "attributed")
    table = Table(*flush_right("rank"), "source", *columns)
    for ranked in answer.sources:
        table.add_row(
            str(ranked.rank),
            source_name(ranked) + _MATCHES[ranked.match] + _copies(ranked),
            f"{ranked.score:.3f}",
            "-" if ranked.p_value is None else f"{ranked.p_value:.2g}",
            f"{ranked.share:.1%}",
            "yes" if ranked.attributed else "no",
        )
    out.print(table)
    if answer.turned:
        out.print(f"found set upright: the image is turned {HOW_TURNED[answer.turned]}")
    out.print(
        f"other sources {answer.other_share:.1%}, no source here {answer.unattributed_share:.1%}"
    )
    for ranked in answer.sources:
        if ranked.opt_out is not None and ranked.opt_out.do_not_train:
            out.print(f"{one_line(source_name(ranked))}: may not be trained on", soft_wrap=True)
    for line in _said(answer.credentials):
        out.print(line, soft_wrap=True)


def _said(said: CredentialsDocument | None) -> Iterator[str]:
    """What an image says of itself, told apart from what was measured."""
    if said is None:
        return
    made = f", made by {one_line(said.generator)}" if said.generator else ""
    yield f"content credentials ({said.state}){made}; a statement of who signed it, no measurement"
    for each in said.ingredients:
        held = ", ".join(one_line(source_name(source)) for source in each.held)
        title = one_line(each.title or "something without a name")
        yield f"  made of {title}: " + (f"held here, {held}" if held else "not known to be held")


def _copies(ranked: RankedSource) -> str:
    return f" (held {len(ranked.copies) + 1} times)" if ranked.copies else ""


def _document(path: Path, answer: AttributionDocument) -> dict[str, Any]:
    return {"path": str(path), **answer.model_dump(exclude=_OF_THE_SERVICE)}
