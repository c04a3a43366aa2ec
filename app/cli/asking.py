"""Asks the gallery about image files, in this process; knows no command and prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from app.answers import Answer, FreshAnswer, Question
from app.cli.asked import Asked
from app.inference.timings import Timings
from app.inference.upload import decoding_limits
from app.settings import Settings
from attribution import asking
from attribution.asking import Answered, Unreadable
from attribution.attributor import Attributor
from attribution.catalog.presence import require
from attribution.explanation import Explanation, Previewed
from attribution.opening.gallery import OpenedGallery, open_gallery
from attribution.opening.load import Vision, load_vision


def question_of(asked: Asked) -> Question:
    """What the command line asks, as it is asked of the attributor."""
    return Question(
        top_k=asked.top_k,
        alpha=asked.alpha,
        collections=frozenset(asked.collections) or None,
        guarantee=asked.guarantee,
        no_source=asked.no_source,
        recall=asked.recall,
        any_way_up=asked.any_way_up,
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
        self._limits = decoding_limits(settings)

    @cached_property
    def vision(self) -> Vision:
        """The encoder that the settings name, and its background."""
        return load_vision(self._settings)

    @cached_property
    def gallery(self) -> OpenedGallery:
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
        """
        terms = self._question.terms
        answers = asking.ask(
            self._attributor, paths, terms, self._limits,
            credentials=self._settings.content_credentials,
        )  # fmt: skip
        for path, each in answers:
            yield path, _fresh(each) if isinstance(each, Answered) else each

    def ask_one(self, path: Path) -> FreshAnswer:
        """The answer about one image.

        Raises:
            ImageError: it is none within the limits.
            OSError: it cannot be read.
            CollectionNotFound, AlphaTooSmall: as `ask`.
        """
        read = asking.read_query(
            path, self._limits, credentials=self._settings.content_credentials,
            any_way_up=self._question.any_way_up,
        )  # fmt: skip
        [answered] = asking.answer(self._attributor(), [read], self._question.terms)
        return _fresh(answered)

    def explain(self, answered: FreshAnswer) -> tuple[Explanation, tuple[Previewed, ...]]:
        """The maps of an answer, and the previews of the sources that have them, in one order."""
        return asking.explain_answer(self._attributor(), answered.query, answered.attribution)

    def _attributor(self) -> Attributor:
        return self.gallery.attributor


def _fresh(answered: Answered) -> FreshAnswer:
    """The answer as everything in this package has it."""
    took = answered.seconds
    timings = Timings(took.decode, 0.0, took.encode).searched(took.search)
    return Answer(answered.query, answered.attribution, timings, credentials=answered.credentials)
