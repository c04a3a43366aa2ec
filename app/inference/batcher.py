"""Joins the images of concurrent requests into one forward pass; knows no HTTP and no index.

One thread runs the encoder. When it is free it takes whatever waits, up to a limit, and starts at
once: there is no timer, so a lone request waits for nothing and load makes its own batches.
Embeddings go before the patch maps of explanations, and images of jobs have their turn when nothing
interactive waits, few at a time. Passes and searches take turns (`turns`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from app.inference.activities import Activities
from app.inference.forward_pass import Embeds, ForwardPass, InferenceError
from app.inference.turns import Turn, Turns
from app.telemetry.watcher import Watcher
from models.heads.affine import Domain

logger = logging.getLogger(__name__)

Priority = Literal["interactive", "job"]
_CHECK_SECONDS = 2.0  # between looks at an encoder that fails, while nobody asks for it


class BatcherClosedError(RuntimeError):
    """The batcher takes no more work: the service is stopping."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One row or map of a forward pass, the seconds it waited and the seconds the pass took."""

    embedding: NDArray[np.float32]
    queue_seconds: float
    encode_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    pixels: torch.Tensor
    domain: Domain | None
    """None: its patch map is wanted."""
    result: Future[Encoded]
    since: float

    def joins(self, other: _Waiting) -> bool:
        return self.domain == other.domain and self.pixels.shape == other.pixels.shape


@dataclass(frozen=True, slots=True, eq=False)
class _Queue:
    waiting: deque[_Waiting]
    max_batch: int
    turn: Turn

    def take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self.waiting and len(batch) < self.max_batch:
            if batch and not self.waiting[0].joins(batch[0]):
                break
            batch.append(self.waiting.popleft())
        return batch


class Batcher:
    """Three queues before one inference thread.

    A batch that fails is run again image by image, so that one poison image fails alone. Every
    future is resolved, also at `close`. A future that was cancelled before its turn costs nothing.
    The queue has no bound of its own: `app.requests.slots` bounds what is accepted at all.
    """

    def __init__(
        self,
        encoder: Embeds,
        *,
        max_batch: int,
        max_job_batch: int = 1,
        watcher: Watcher | None = None,
        activities: Activities | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._turns = turns or Turns()
        self._passes = ForwardPass(encoder, activities or Activities())
        self._watcher = watcher
        self._interactive = _Queue(deque(), max_batch, Turn.ENCODE)
        self._maps = _Queue(deque(), max_batch, Turn.MAPS)
        # An interactive image waits for the pass under way: passes of jobs are kept short.
        self._jobs = _Queue(deque(), max_job_batch, Turn.JOB_ENCODE)
        self._queues = (self._interactive, self._maps, self._jobs)  # in the order of their turns
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Images in all queues."""
        return sum(len(queue.waiting) for queue in self._queues)

    @property
    def alive(self) -> bool:
        """Whether work that is submitted now will be done."""
        return self._thread.is_alive() and not self._closed

    @property
    def failing(self) -> bool:
        """Whether the encoder fails on every image, not on some."""
        return self._passes.failing

    def submit(
        self, pixels: torch.Tensor, domain: Domain, *, priority: Priority = "interactive"
    ) -> Future[Encoded]:
        """Queue one (3, height, width) tensor.

        The future ends with an `Encoded`, or with `InferenceError`.

        Raises:
            BatcherClosedError: after `close`.
        """
        queue = self._interactive if priority == "interactive" else self._jobs
        return self._queue(queue, pixels, domain)

    def submit_patches(self, pixels: torch.Tensor) -> Future[Encoded]:
        """Queue one (3, height, width) tensor for its (h, w, columns) patch map.

        It waits until no embedding of an interactive request does. Accepted work is bounded, so
        that ends: those who wait here hold slots that new embeddings would need.

        Raises:
            BatcherClosedError: after `close`.
        """
        return self._queue(self._maps, pixels, None)

    def submit_variant(self, pixels: torch.Tensor) -> Future[Encoded]:
        """Queue one (3, height, width) tensor of a query's variant; it waits as a patch map does.

        Raises:
            BatcherClosedError: after `close`.
        """
        return self._queue(self._maps, pixels, "query")

    def close(self) -> None:
        """Take nothing more, finish what waits, end the thread. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _queue(self, queue: _Queue, pixels: torch.Tensor, domain: Domain | None) -> Future[Encoded]:
        item = _Waiting(pixels, domain, Future(), time.perf_counter())
        with self._changed:
            if self._closed:
                raise BatcherClosedError("the service is stopping")
            queue.waiting.append(item)
            self._changed.notify()
        return item.result

    def _work(self) -> None:
        while (turn := self._wait()) is not None:
            with self._turns.take(turn):
                # Taken only now: what came while others had their turn joins.
                batch = self._take()
                # Claiming a future fails when its request has gone away: that work is dropped.
                claimed = [item for item in batch if item.result.set_running_or_notify_cancel()]
                if claimed:
                    self._run(claimed)
                elif self.failing:
                    self._passes.check()

    def _wait(self) -> Turn | None:
        """Wait for work, and say at whose turn it is done. None once closed.

        Also when it is time to look whether a failing encoder works again: a service that is not
        ready is sent no image that could show it.
        """
        with self._changed:
            while not (queue := self._first()):
                if self._closed:
                    return None
                if not self._changed.wait(_CHECK_SECONDS if self.failing else None):
                    return Turn.JOB_ENCODE
            return queue.turn

    def _take(self) -> list[_Waiting]:
        """The longest-waiting items that fit one batch."""
        with self._changed:
            queue = self._first()
            return [] if queue is None else queue.take()

    def _first(self) -> _Queue | None:
        return next((queue for queue in self._queues if queue.waiting), None)

    def _run(self, batch: Sequence[_Waiting]) -> None:
        started = time.perf_counter()
        try:
            rows = self._passes.run([item.pixels for item in batch], batch[0].domain)
        except Exception as error:
            if len(batch) > 1:
                logger.warning("a batch of %d images failed, retrying singly", len(batch))
                for item in batch:
                    self._run([item])
                return
            logger.exception("the encoder failed on an image")
            failed = InferenceError("the encoder failed on this image")
            failed.__cause__ = error
            self._passes.check()
            batch[0].result.set_exception(failed)
            return
        seconds = time.perf_counter() - started
        self._tell(batch, started, seconds)
        for item, row in zip(batch, rows, strict=True):
            item.result.set_result(Encoded(row, started - item.since, seconds))

    def _tell(self, batch: Sequence[_Waiting], started: float, seconds: float) -> None:
        if self._watcher is None:
            return
        self._watcher.forward_pass(len(batch))
        for item in batch:
            self._watcher.stage("queue", started - item.since)
            self._watcher.stage("encode", seconds)
