"""Whoever is told how images get on, from the threads that work on them; knows no Prometheus."""

from __future__ import annotations

from typing import Literal, Protocol

Stage = Literal["decode", "queue", "encode", "search_queue", "search"]


class Watcher(Protocol):
    """Safe for any thread; `app.telemetry.metrics` has the one that a service runs with."""

    def stage(self, stage: Stage, seconds: float) -> None:
        """A stage of an image's trip is over."""

    def forward_pass(self, images: int) -> None:
        """The encoder has run on so many images."""

    def search(self, images: int) -> None:
        """So many images have been searched for together."""

    def job_images(self, *, answered: int, failed: int, retried: int) -> None:
        """Images of jobs have ended, or will be tried again."""
