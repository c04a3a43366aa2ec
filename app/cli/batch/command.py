"""`attribution batch`: many images, one line of JSON each; run again, it goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import typer

from app.cli.batch.local import answer_locally
from app.cli.batch.question import BatchQuestion
from app.cli.batch.remote import answer_remotely
from app.cli.console import fail, out, progress, warn
from app.cli.failures import BadInvocation
from app.cli.options import (
    AlphaOption,
    CollectionsOption,
    DataOption,
    EncoderOption,
    WeightsOption,
    encoder_settings_from,
)
from attribution.ingestion import ManifestProblem, read_manifest
from models.images.decoding import IMAGE_SUFFIXES


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
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=100)] = 10,
    collection: CollectionsOption = None,
    alpha: AlphaOption = None,
    data: DataOption = None,
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
) -> None:
    """Attribute many images, against this machine's catalog or a running service.

    Each image becomes a line of JSON in the file of results: its `path`, and its `attribution` or
    `problem` as the HTTP API writes them. Run it again after an interruption, with the same --out:
    images that have a line are left alone. With --url the images go to the service as jobs, which
    outlive this command and are picked up again, and are purged once their results are here.

    Exits with 1 when an image has a problem or could not be read.
    """
    images, failed = _images(paths)
    question = BatchQuestion(top_k, tuple(sorted(set(collection or ()))), alpha)
    with ResultsFile(results) as written:
        waiting = [path for path in images if str(path) not in written.paths]
        with progress() as bar:
            task = bar.add_task(
                "Attributing", total=len(images), completed=len(images) - len(waiting)
            )
            if waiting and url is not None:
                answers = answer_remotely(url, _key(key_file), images, question, written)
            elif waiting:
                settings = encoder_settings_from(data=data, encoder=encoder, weights=weights)
                answers = answer_locally(settings, waiting, question)
            else:
                answers = iter(())
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


class ResultsFile:
    """JSON Lines, one an image, appended to. A line that a crash has cut short is taken off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.paths: set[str] = set()
        self.problems = 0

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b")
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.make_durable()
        finally:
            self._file.close()

    def add(self, path: Path, result: Mapping[str, Any]) -> None:
        """Append what came of an image."""
        line = json.dumps({"path": str(path), **result})
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        self._count(str(path), result)

    def make_durable(self) -> None:
        """Return when what was added survives a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self) -> None:
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                row = json.loads(line)
                self._count(row["path"], row)
            except (ValueError, TypeError, KeyError):
                raise BadInvocation(
                    f"{self.path}, line {number}, is not a result of `attribution batch`; name "
                    "another file with --out"
                ) from None
        self._file.truncate(whole)

    def _count(self, path: str, row: Mapping[str, Any]) -> None:
        self.paths.add(path)
        self.problems += "problem" in row


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
