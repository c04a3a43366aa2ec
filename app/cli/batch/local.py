"""Answers a batch from a data folder, in this process; a service may run beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from app.answers import Answered
from app.cli.batch.question import Answers, BatchQuestion
from app.cli.console import fail
from app.encoders.gallery import Vision, decoding_limits, load_vision, open_gallery
from app.inference.embedder import Embedded
from app.inference.upload import Upload
from app.schemas.documents import attribution_document, problem_document
from app.settings import Settings
from attribution.attributor import Attributor
from models.images.decoding import DecodedImage, DecodingLimits, ImageError, decode

_AT_ONCE = 16
REQUEST_ID = "batch"
"""Stands where an answer over HTTP has the id of its request."""


def answer_locally(settings: Settings, paths: Sequence[Path], question: BatchQuestion) -> Answers:
    """Answer images some at a time.

    Raises:
        CollectionNotFound: a collection of the question does not exist.
        AlphaTooSmall: the background cannot bear out the question's alpha.
    """
    vision = load_vision(settings)
    with open_gallery(settings, vision) as gallery:
        gallery.prepare(question.collections)
        alpha = settings.alpha if question.alpha is None else question.alpha
        waiting = iter(paths)
        while some := list(islice(waiting, _AT_ONCE)):
            read: list[tuple[Path, DecodedImage, float]] = []
            for path in some:
                started = time.perf_counter()
                try:
                    decoded = _decode(path, decoding_limits(settings))
                except ImageError as error:
                    problem = problem_document(error, REQUEST_ID)
                    yield path, {"problem": problem.model_dump(mode="json", exclude_defaults=True)}
                except OSError as error:
                    fail(f"{path}: {error}")
                    yield path, None
                else:
                    read.append((path, decoded, time.perf_counter() - started))
            yield from _answers(vision, gallery.attributor, read, question, alpha)


def _decode(path: Path, limits: DecodingLimits) -> DecodedImage:
    with path.open("rb") as file:
        upload = Upload(path.name, path.stat().st_size, file)
        return decode(upload.read(max_bytes=limits.max_bytes), limits=limits)


def _answers(
    vision: Vision,
    attributor: Attributor,
    read: Sequence[tuple[Path, DecodedImage, float]],
    question: BatchQuestion,
    alpha: float,
) -> Answers:
    if not read:
        return
    started = time.perf_counter()
    rows = vision.encoder.encode([decoded.image for _, decoded, _ in read], domain="query")
    encoding = time.perf_counter() - started
    started = time.perf_counter()
    attributions = attributor.attribute(
        rows,
        top_k=question.top_k,
        collections=frozenset(question.collections) or None,
        alpha=alpha,
    )
    searching = time.perf_counter() - started
    for (path, decoded, decoding), row, attribution in zip(read, rows, attributions, strict=True):
        embedded = Embedded(decoded, row, decoding, 0.0, encoding)
        answered = Answered(embedded, attribution, searching, attribution.index_generation)
        document = attribution_document(
            answered, request_id=REQUEST_ID, total_seconds=decoding + encoding + searching
        )
        yield path, {"attribution": document.model_dump(mode="json")}
