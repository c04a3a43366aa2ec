"""What the service counts and measures, in the Prometheus format; knows no route.

Labels are few and bounded: a route's template, never a path; no id, no collection, no file name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app.telemetry.recent import Recent
from app.telemetry.watcher import Stage, Watcher

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STAGE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_LIKENESS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics(Watcher):
    """The metrics of one application, in a registry of its own; safe for any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self._registry)
        self._requests = Histogram(
            "http_request_duration_seconds",
            "Requests by the template of their route, until the last byte of the answer.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "attribution_stage_duration_seconds",
            "Stages of an image's trip: decode, queue, encode, search_queue, search.",
            ("stage",),
            buckets=_STAGE_SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "attribution_batch_size",
            "Images in a forward pass of the encoder.",
            buckets=_BATCHES,
            registry=self._registry,
        )
        self._searches = Histogram(
            "attribution_search_size",
            "Images that are searched for together.",
            buckets=_BATCHES,
            registry=self._registry,
        )
        self._decisions = Counter(
            "attribution_decisions",
            "Answers by decision; none: calibration was not ready.",
            ("decision",),
            registry=self._registry,
        )
        for decision in ("attributed", "no_source_found", "none"):
            self._decisions.labels(decision)

        self._likeness = Histogram(
            "attribution_background_likeness",
            "Part of the background's images that are no more ordinary than an image asked about.",
            buckets=_LIKENESS,
            registry=self._registry,
        )
        self.recent = Recent()
        self._job_images = Counter(
            "attribution_job_images",
            "Images of jobs that have ended, by whether they were answered or got a problem.",
            ("outcome",),
            registry=self._registry,
        )
        for outcome in ("answered", "failed"):
            self._job_images.labels(outcome)
        self._job_retries = Counter(
            "attribution_job_retries",
            "Attempts at images of jobs that came to nothing and are made again.",
            registry=self._registry,
        )
        self._webhooks_lost = Counter(
            "attribution_webhooks_lost",
            "Messages that could not be queued.",
            registry=self._registry,
        )
        self._received = Gauge(
            "attribution_received_bytes",
            "Bytes of request bodies that are held, jobs' aside.",
            registry=self._registry,
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request has been answered."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def stage(self, stage: Stage, seconds: float) -> None:
        """A stage of an image's trip is over."""
        self._stages.labels(stage).observe(seconds)

    def forward_pass(self, images: int) -> None:
        """The encoder has run on so many images."""
        self._batches.observe(images)

    def search(self, images: int) -> None:
        """So many images have been searched for together."""
        self._searches.observe(images)

    def decided(
        self,
        decision: str | None,
        p_value: float | None = None,
        likeness: float | None = None,
        *,
        seconds: float = 0.0,
    ) -> None:
        """An answer was given, whose stages took so long."""
        self._decisions.labels(decision or "none").inc()
        if likeness is not None:
            self._likeness.observe(likeness)
        if p_value is not None:
            self.recent.add(p_value, likeness, seconds)

    def job_images(self, *, answered: int, failed: int, retried: int) -> None:
        """Images of jobs have ended, or will be tried again."""
        self._job_images.labels("answered").inc(answered)
        self._job_images.labels("failed").inc(failed)
        self._job_retries.inc(retried)

    def webhooks_lost(self, count: int) -> None:
        """So many messages could not be queued."""
        self._webhooks_lost.inc(count)

    def watch_room(self, taken: Callable[[], float]) -> None:
        """Show how many bytes of bodies are held, asked for at every scrape."""
        self._received.set_function(taken)

    @contextmanager
    def showing(self, gauges: Collector) -> Iterator[None]:
        """Show further gauges, read at every scrape within the block."""
        self._registry.register(gauges)
        try:
            yield
        finally:
            self._registry.unregister(gauges)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics in the format that an Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
