"""Answers a batch from the data folder, in this process, as the HTTP API writes answers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from app.answers import Answer, Question
from app.cli.asking import open_for_asking
from app.cli.batch.results import REQUEST_ID, Results
from app.cli.console import fail_about
from app.schemas.attribution import AttributionDocument
from app.schemas.problem import ProblemDocument
from app.settings import Settings
from models.images.errors import ImageError


def answer_here(settings: Settings, question: Question, images: Iterable[Path]) -> Results:
    """Each image with its answer or problem, or None where its file cannot be read."""
    with open_for_asking(settings, question) as asking:
        for path, answer in asking.ask(images):
            if isinstance(answer, Answer):
                document = AttributionDocument.of(answer, request_id=REQUEST_ID)
                yield path, {"attribution": document.model_dump(mode="json")}
            elif isinstance(answer, ImageError):
                problem = ProblemDocument.of(answer, request_id=REQUEST_ID)
                yield path, {"problem": problem.model_dump(mode="json", exclude_defaults=True)}
            else:
                fail_about(path, answer)
                yield path, None
