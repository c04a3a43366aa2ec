"""`attribution batch`: many images, one line of JSON each; run again, it goes on where it was."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli import options
from app.cli.asked import Asked
from app.cli.batch.results import Results, open_results
from app.cli.console import fail, fail_about, one_line, out, progress, warn
from app.cli.neighbour import key_of
from app.cli.wording import warn_of_nothing_held
from app.settings import Settings


def batch_command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            parser=options.path_given,
            metavar="PATHS",
            help="Images, folders of images, or JSON Lines manifests.",
        ),
    ],
    results: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            parser=options.path_given,
            metavar="PATH",
            help="File of results; what is in it is not asked again.",
        ),
    ] = Path("results.jsonl"),
    url: Annotated[
        str | None,
        typer.Option(help="Ask a running service, such as http://127.0.0.1:8000, by its jobs."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            parser=options.path_or_unset,
            metavar="PATH",
            help="File that holds the API key of that service.  [default: $ATTRIBUTION_API_KEY]",
        ),
    ] = None,
    top_k: options.TopK = 10,
    collection: options.Collections = None,
    alpha: options.Alpha = None,
    guarantee: options.Guarantee = None,
    no_source: options.NoSource = None,
    recall: options.Recall = None,
    any_way_up: options.AnyWayUp = False,
    data: options.Data = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
) -> None:
    """Attribute many images, against this machine's catalog or a running service.

    Each image becomes a line of JSON in the file of results: its `path`, and its `attribution` or
    `problem` as the HTTP API writes them. Run it again after an interruption, with the same --out:
    images that have a line are left alone. With --url the images go to the service as jobs, which
    outlive this command and are picked up again, and are purged once their results are here.

    Exits with 1 when an image has a problem or could not be read.
    """
    settings = options.settings_from(data=data, encoder=encoder, weights=weights)
    if url is None:
        settings = options.encoder_settings_from(data=data, encoder=encoder, weights=weights)
        from attribution.catalog.presence import require  # SQLAlchemy

        require(settings.data, settings.database_url)
    images, failed = _images(paths)
    nothing_held = False
    with open_results(results) as written, progress() as bar:
        waiting = [path for path in images if str(path) not in written.paths]
        done = len(images) - len(waiting)
        task = bar.add_task("Attributing", total=len(images), completed=done)
        answers: Results = iter(())
        if waiting and url is not None:
            from app.cli.batch.remote import answer_remotely  # quick --help

            wanted = {
                "alpha": alpha,
                "guarantee": guarantee,
                "no_source": no_source,
                "recall": recall,
                "any_way_up": any_way_up or None,
            }
            parameters: dict[str, Any] = {
                "top_k": top_k,
                "collection": sorted(set(collection or ())),
                # what is not said the service decides by its own
                **{name: value for name, value in wanted.items() if value is not None},
            }
            answers = answer_remotely(url, key_of(settings, key_file), images, parameters, written)
        elif waiting:
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
            answers = _answer_here(settings, asked, waiting)
        for path, result in answers:
            if result is None:
                failed += 1
                continue
            written.add(path, result)
            nothing_held |= result.get("attribution", {}).get("reason") == "nothing-held"
            bar.advance(task)
    if nothing_held:
        warn_of_nothing_held(url or settings.data, collection or ())
    out.print(f"{len(images)} images, {written.problems + failed} with a problem: {results}")
    if written.problems or failed:
        raise typer.Exit(1)


def _answer_here(settings: Settings, asked: Asked, images: Iterable[Path]) -> Results:
    from app.cli.asking import question_of  # torch; whoever asks a service
    from app.cli.batch.here import answer_here  # needs none

    return answer_here(settings, question_of(asked), images)


def _images(paths: Iterable[Path]) -> tuple[list[Path], int]:
    """Every image once, in a stable order, and how many paths and rows were wrong."""
    from attribution.ingestion import (  # SQLAlchemy: quick --help
        ManifestProblem,
        ManifestUnreadable,
        is_picture,
        read_manifest,
    )

    found: dict[Path, None] = {}
    wrong = 0
    for path in paths:
        try:
            if is_picture(path):
                found[path] = None
                continue
            rows = read_manifest(path)
        except (ManifestUnreadable, OSError) as error:
            fail(one_line(error))
            wrong += 1
            continue
        for row in rows:
            if isinstance(row, ManifestProblem):
                fail_about(row.path, row.told)
                wrong += 1
            else:
                found[row.path] = None
    if not found:
        warn("There are no images to attribute.")
    return list(found), wrong
