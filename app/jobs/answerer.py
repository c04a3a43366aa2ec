"""Answers some images of a job together; knows neither threads of its own nor HTTP."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from threading import Event
from typing import Any

from app.answers import FreshAnswer, Question, answered, begin_asking, recognise
from app.encoders.live import Live, Serving
from app.inference.embedder import Begun, Embedded
from app.inference.upload import Upload
from app.jobs.results import answered as answer_record
from app.jobs.results import failed
from app.problems.problem import Problem
from app.telemetry.metrics import Metrics
from app.webhooks.announcer import Announcer
from attribution.calibration import AlphaTooSmall
from attribution.calibration.shares.recall import RecallTooLarge
from attribution.catalog import Claimed, Ended, Job, JobItem, Jobs
from attribution.index import IndexUnavailable
from models.images.errors import ImageError

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
"""How often an image is tried whose attempts come to nothing, the process's end included."""
# What trying again cannot mend.
_FINAL = (ImageError, AlphaTooSmall, RecallTooLarge, Problem)
_CALIBRATION_TRIES = 30  # a second apart: unlike a request, a job can wait for a decision
_POLL_SECONDS = 0.2
_FOLLOW_SECONDS = 1.0  # until the images are given back, which others may answer sooner


@dataclass(slots=True)
class Outcome:
    """What came of a claim: items that ended, some to be given back, the rest to be retried."""

    ended: list[Ended] = field(default_factory=list)
    given_back: list[int] = field(default_factory=list)
    retried: int = 0


def question_document(question: Question) -> dict[str, Any]:
    """A question as a job keeps it."""
    document = asdict(question.terms)
    collections = document.pop("collections")
    return {**document, "collection": None if collections is None else sorted(collections)}


def _question_of(parameters: Mapping[str, Any]) -> Question:
    """The question that a job keeps, with the catalog's generation that its maker knew of."""
    collections = parameters["collection"]
    return Question(
        top_k=parameters["top_k"],
        alpha=parameters["alpha"],
        guarantee=parameters.get("guarantee", "average"),  # older jobs name none
        no_source=parameters.get("no_source"),
        recall=parameters.get("recall"),
        any_way_up=parameters.get("any_way_up", False),
        collections=None if collections is None else frozenset(collections),
        min_generation=parameters.get("min_generation", 0),
    )


def answer_live(
    jobs: Jobs,
    live: Callable[[], Live],
    metrics: Metrics,
    announcer: Announcer,
    claimed: Claimed,
    stopping: Event,
) -> Outcome:
    """Answer a claim by what serves when it begins, which is held until the last item has ended."""
    held = live()
    serving = held.serving
    answerer = JobAnswerer(jobs, serving, metrics, announcer)
    outcome = answerer.answer(claimed, stopping)
    del held  # only now may it be closed
    return outcome


class JobAnswerer:
    """From claimed items to results. Encoding and searching give way to interactive requests."""

    def __init__(
        self,
        jobs: Jobs,
        serving: Serving,
        metrics: Metrics,
        announcer: Announcer,
    ) -> None:
        self._announcer = announcer
        self._jobs = jobs
        self._serving = serving
        self._embedder = serving.embedder
        self._metrics = metrics

    def answer(self, claimed: Claimed, stopping: Event) -> Outcome:
        """Answer the items of a claim, or as many as are done when `stopping` is set."""
        outcome = Outcome()
        question = _question_of(claimed.job.parameters)
        embedded = self._embed(claimed, question, outcome, stopping)
        if not embedded:
            return outcome
        items = [item for item in claimed.items if item.position in embedded]
        rows = [embedded[item.position] for item in items]
        with _failures_of(claimed.job, items, outcome):
            self._follow(question.min_generation)
            answers = self._attribute(rows, question, stopping)
            if answers is None:
                outcome.given_back += [item.position for item in items]
                return outcome
            # Before they count as answered: one that is answered again has the same id again.
            ids = [_message_id(claimed.job, item) for item in items]
            self._announcer.put(self._announcer.worth_telling(answers, ids))
            outcome.ended += [
                answer_record(item.position, answer)
                for item, answer in zip(items, answers, strict=True)
            ]
        return outcome

    def _embed(
        self, claimed: Claimed, question: Question, outcome: Outcome, stopping: Event
    ) -> dict[int, Embedded]:
        begun: dict[int, Begun] = {}
        for item in claimed.items:
            if stopping.is_set():
                outcome.given_back.append(item.position)
                continue
            with _failures_of(claimed.job, [item], outcome):
                begun[item.position] = self._begin(claimed.job, item, question)
        _wait([each for waiting in begun.values() for each in waiting.encodings], stopping)
        embedded: dict[int, Embedded] = {}
        for item in claimed.items:
            waiting = begun.get(item.position)
            if waiting is None:
                continue
            if any(encoding.cancelled() for encoding in waiting.encodings):
                outcome.given_back.append(item.position)
                continue
            with _failures_of(claimed.job, [item], outcome):
                embedded[item.position] = waiting.embedded()
        return embedded

    def _begin(self, job: Job, item: JobItem, question: Question) -> Begun:
        if item.attempts > MAX_ATTEMPTS:
            raise Problem(
                "inference-failed",
                f"This image was tried {MAX_ATTEMPTS} times, and each time the encoder failed or "
                "the service ended in the middle.",
            )
        try:
            file = self._jobs.open_input(job, item)
        except FileNotFoundError:
            if item.size <= self._embedder.limits.max_bytes:
                raise Problem("input-missing") from None
            # Bytes beyond the limit are not kept; asking for them says what is wrong.
            return self._embedder.begin(Upload(item.filename, item.size, None))
        upload = Upload(item.filename, item.size, file)
        with file:
            return self._embedder.begin(upload, any_way_up=question.any_way_up)

    def _follow(self, generation: int) -> None:
        """See what was seen where the job was accepted, maybe by another process, before this."""
        if not self._serving.follower.wait_for(generation, _FOLLOW_SECONDS):
            raise IndexUnavailable(f"the index has not seen change {generation} of the catalog yet")

    def _attribute(
        self, rows: Sequence[Embedded], question: Question, stopping: Event
    ) -> list[FreshAnswer] | None:
        """One answer for each row; None when the service stops before they can be decided."""
        for attempt in range(1, _CALIBRATION_TRIES + 1):
            answers = self._search(rows, question, stopping)
            if answers is None:
                return None
            undecided = any(each.attribution.calibration.state == "building" for each in answers)
            if not undecided or attempt == _CALIBRATION_TRIES:
                return answers
            if stopping.wait(1.0):
                return None
        raise AssertionError("the loop returns or raises")

    def _search(
        self, rows: Sequence[Embedded], question: Question, stopping: Event
    ) -> list[FreshAnswer] | None:
        searches = [
            begin_asking(self._serving.searches, row, question, priority="job") for row in rows
        ]
        _wait(searches, stopping)
        if any(search.cancelled() for search in searches):
            return None
        answers = [
            answered(row, search.result(), self._metrics)
            for row, search in zip(rows, searches, strict=True)
        ]
        return recognise(self._serving.attributor.catalog, answers, question.collections)


def _message_id(job: Job, item: JobItem) -> str:
    """The same whenever this image of this job is answered."""
    return f"msg_{hashlib.sha256(f'{job.job_id}/{item.position}'.encode()).hexdigest()[:24]}"


def _wait(work: Sequence[Future[Any]], stopping: Event) -> None:
    """Until all has ended; when the service stops, what has not begun is called off."""
    waiting = set(work)
    while waiting:
        _, waiting = wait(waiting, timeout=_POLL_SECONDS)
        if stopping.is_set():
            for each in waiting:
                each.cancel()


@contextmanager
def _failures_of(job: Job, items: Sequence[JobItem], outcome: Outcome) -> Iterator[None]:
    """End items with a problem, or leave them waiting where another attempt may do better."""
    try:
        yield
    except _FINAL as error:
        outcome.ended += [failed(item.position, error) for item in items]
    except IndexUnavailable as error:  # no image's fault, however long it takes
        logger.warning("job %s waits: %s", job.job_id, error)
        outcome.given_back += [item.position for item in items]
        outcome.retried += len(items)
    except Exception as error:
        names = ", ".join(str(item.position) for item in items)
        logger.exception("items %s of job %s failed", names, job.job_id)
        for item in items:
            if item.attempts < MAX_ATTEMPTS:
                outcome.retried += 1
            else:
                outcome.ended.append(failed(item.position, error))
