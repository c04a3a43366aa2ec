"""Asks the gallery about image files, in this process; knows no command and prints nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from app.answers import FreshAnswer, Question, ask
from app.cli.neighbour import Asked
from app.encoders.gallery import Gallery, open_gallery
from app.encoders.load import Vision, load_vision
from app.inference.embedder import Embedded
from app.inference.timings import Timings
from app.inference.upload import Upload, decoding_limits
from app.settings import Settings
from attribution.catalog.presence import require
from attribution.credentials.reading import read_credentials
from attribution.credentials.statement import Credentials
from attribution.explanation import (
    Explanation,
    Previewed,
    evidence,
    explain,
    read_previews,
    sources_to_explain,
    variants_of_query,
    views_of_query,
)
from attribution.files import regular_file
from attribution.looks import Looks, encode_looks, looks_at
from models.images.decoding import DecodedImage, decode
from models.images.errors import ImageError

Unreadable = ImageError | OSError
"""Why nothing can be asked about a file."""
_AT_ONCE = 16
"""Images in memory at a time."""


def question_of(asked: Asked) -> Question:
    """What the command line asks, as it is asked of the attributor."""
    return Question(
        top_k=asked.top_k,
        alpha=asked.alpha,
        collections=frozenset(asked.collections) or None,
        guarantee=asked.guarantee,
        no_source=asked.no_source,
        recall=asked.recall,
    )


@contextmanager
def open_for_asking(settings: Settings, question: Question) -> Iterator[Asking]:
    """Get ready to ask the same of many images, beside a running service if need be.

    Raises:
        CatalogMissing: there is no catalog to ask, whatever the images are.
    """
    require(settings.data, settings.database_url)
    with ExitStack() as opened:
        yield Asking(settings, question, opened)


class Asking:
    """Encoder and gallery, which are opened once the first image has been read, and not before."""

    def __init__(self, settings: Settings, question: Question, opened: ExitStack) -> None:
        self._settings = settings
        self._question = question
        self._opened = opened

    @cached_property
    def vision(self) -> Vision:
        """The encoder that the settings name, and its background."""
        return load_vision(self._settings)

    @cached_property
    def gallery(self) -> Gallery:
        """What is searched.

        Raises:
            CollectionNotFound: a collection of the question does not exist.
        """
        gallery = self._opened.enter_context(open_gallery(self._settings, self.vision))
        gallery.prepare(sorted(self._question.collections or ()))
        return gallery

    def ask(self, paths: Iterable[Path]) -> Iterator[tuple[Path, FreshAnswer | Unreadable]]:
        """Each image with its answer, or with what is wrong with its file; some at a time.

        Raises:
            CollectionNotFound: a collection of the question does not exist.
            AlphaTooSmall: the background cannot bear out the question's alpha.
            RecallTooLarge: no list is known to hold a true source that often.
        """
        waiting = iter(paths)
        while some := list(islice(waiting, _AT_ONCE)):
            read: list[_Read | Unreadable] = []
            for path in some:
                try:
                    read.append(self._read(path))
                except (ImageError, OSError) as error:
                    read.append(error)
            answers = iter(self._answers([each for each in read if isinstance(each, _Read)]))
            for path, each in zip(some, read, strict=True):
                yield path, next(answers) if isinstance(each, _Read) else each

    def ask_one(self, path: Path) -> FreshAnswer:
        """The answer about one image.

        Raises:
            ImageError: it is none within the limits.
            OSError: it cannot be read.
            CollectionNotFound, AlphaTooSmall, RecallTooLarge: as `ask`.
        """
        [answered] = self._answers([self._read(path)])
        return answered

    def explain(self, answered: FreshAnswer) -> tuple[Explanation, tuple[Previewed, ...]]:
        """The maps of an answer, and the previews of the sources that have them, in one order."""
        encoder = self.vision.encoder
        previewed = read_previews(self.gallery.catalog, sources_to_explain(answered.attribution))
        views = encoder.patches(views_of_query(answered.query.image))
        patches = encoder.patches([each.image for each in previewed])
        if not previewed:
            patches = patches.reshape(0, *views.shape[1:])
        ranked, borne = [each.ranked for each in previewed], None
        if ranked:
            rows = encoder.encode(variants_of_query(answered.query), domain="query")
            ids = np.array([each.source.vector_id for each in ranked], np.int64)
            borne = evidence(self.gallery.attributor.scores_with(rows, ids))
        return explain(views, ranked, patches, encoder.patch_blocks, borne), previewed

    def _read(self, path: Path) -> _Read:
        started, limits = time.perf_counter(), decoding_limits(self._settings)
        with regular_file(path).open("rb") as file:
            upload = Upload(path.name, os.fstat(file.fileno()).st_size, file)
            data = upload.read(max_bytes=limits.max_bytes)
            decoded = decode(data, limits=limits)
        decoded, looks = looks_at(decoded, "query")
        said = None
        if self._settings.content_credentials:
            said = read_credentials(data, decoded.format)
        return _Read(decoded, looks, time.perf_counter() - started, said)

    def _answers(self, read: Sequence[_Read]) -> list[FreshAnswer]:
        if not read:
            return []
        gallery = self.gallery
        started = time.perf_counter()
        described = encode_looks(self.vision.encoder, [each.looks for each in read])
        encoding = time.perf_counter() - started
        embedded = []
        for each, found in zip(read, described, strict=True):
            timings = Timings(each.seconds, 0.0, encoding)
            whole, *framed = found.rows
            row = framed[0] if framed else None
            embedded.append(Embedded(each.decoded, whole, timings, row, each.credentials))
        return ask(gallery.attributor, embedded, self._question)


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    decoded: DecodedImage
    looks: Looks
    seconds: float
    credentials: Credentials | None
