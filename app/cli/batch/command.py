"""`attribution batch`: many images, one line of JSON each; run again, it goes on where it was."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from app.answers import Answer, Question
from app.cli import options
from app.cli.asking import open_for_asking, question_of
from app.cli.batch.remote import Results, answer_remotely
from app.cli.batch.results import open_results
from app.cli.console import fail, out, progress, warn
from app.cli.neighbour import Asked
from app.schemas.attribution import AttributionDocument
from app.schemas.problem import ProblemDocument
from app.settings import Settings
from attribution.ingestion import ManifestProblem, read_manifest
from models.images.decoding import IMAGE_SUFFIXES
from models.images.errors import ImageError

REQUEST_ID = "batch"
"""Stands where an answer over HTTP has the id of its request."""


def batch_command(
    paths: Annotated[
        list[Path], typer.Argument(help="Images, folders of images, or JSON Lines manifests.")
    ],
    results: Annotated[
        Path, typer.Option("--out", help="File of results; what is in it is not asked again.")
    ] = Path("results.jsonl"),
    url: Annotated[
        str | None,
        typer.Option(help="Ask a running service, such as http://127.0.0.1:8000, by its jobs."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="File that holds the API key of that service.")
    ] = None,
    top_k: options.TopK = 10,
    collection: options.Collections = None,
    alpha: options.Alpha = None,
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
    images, failed = _images(paths)
    with open_results(results) as written:
        waiting = [path for path in images if str(path) not in written.paths]
        with progress() as bar:
            task = bar.add_task(
                "Attributing", total=len(images), completed=len(images) - len(waiting)
            )
            answers: Results = iter(())
            parameters: dict[str, Any]
            if waiting and url is not None:
                parameters = {"top_k": top_k, "collection": sorted(set(collection or ()))}
                if alpha is not None:  # else the service decides by its own
                    parameters["alpha"] = alpha
                answers = answer_remotely(url, _key(key_file), images, parameters, written)
            elif waiting:
                settings = options.encoder_settings_from(
                    data=data, encoder=encoder, weights=weights
                )
                asked = Asked.of(settings, top_k=top_k, alpha=alpha, collections=collection)
                answers = _answer_here(settings, question_of(asked), waiting)
            for path, result in answers:
                if result is None:
                    failed += 1
                    continue
                written.add(path, result)
                bar.advance(task)
        problems = written.problems
    out.print(f"{len(images)} images, {problems + failed} with a problem: {results}")
    if problems or failed:
        raise typer.Exit(1)


def _answer_here(settings: Settings, question: Question, images: Iterable[Path]) -> Results:
    """Answers from the data folder, as the HTTP API writes them."""
    with open_for_asking(settings, question) as asking:
        for path, answer in asking.ask(images):
            if isinstance(answer, Answer):
                document = AttributionDocument.of(answer, request_id=REQUEST_ID)
                yield path, {"attribution": document.model_dump(mode="json")}
            elif isinstance(answer, ImageError):
                problem = ProblemDocument.of(answer, request_id=REQUEST_ID)
                yield path, {"problem": problem.model_dump(mode="json", exclude_defaults=True)}
            else:
                fail(f"{path}: {answer}")
                yield path, None


def _images(paths: Iterable[Path]) -> tuple[list[Path], int]:
    """Every image once, in a stable order, and how many rows of manifests were wrong."""
    found: dict[Path, None] = {}
    wrong = 0
    for path in paths:
        if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
            found[path] = None
            continue
        for row in read_manifest(path):
            if isinstance(row, ManifestProblem):
                fail(f"{row.path}: {row.reason}")
                wrong += 1
            else:
                found[row.path] = None
    if not found:
        warn("There are no images to attribute.")
    return list(found), wrong


def _key(file: Path | None) -> str | None:
    return None if file is None else file.read_text(encoding="utf-8").strip()
