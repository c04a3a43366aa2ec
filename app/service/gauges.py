"""What is read from a running service at every scrape; counters are `app.telemetry.metrics`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from app.service.service import Service
from app.service.storage import KINDS
from attribution.catalog import CatalogError
from models.engine import Choice


class ServiceGauges(Collector):
    """Gauges read from the service when they are asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the names are fixed, and reading them costs a query."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One sample each."""
        service, serving = self._service, self._service.serving
        stats = serving.index.stats()
        choice = serving.encoder.choice
        names = {"model_id": stats.model_id, "index": stats.kind, "engine": choice.engine}
        yield InfoMetricFamily("attribution_encoder", "What serves.", names)
        yield _rates(choice)
        yield _gauge("queue_depth", "Images that wait for the encoder.", serving.embedder.waiting)
        yield _gauge("images_in_flight", "Images accepted, not yet answered.", service.slots.taken)
        failing = int(serving.embedder.failing)
        yield _gauge("encoder_failing", "Whether the encoder fails on every image.", failing)
        failing = int(service.worker.failing)
        yield _gauge("job_worker_failing", "Whether work on jobs fails repeatedly.", failing)
        yield _gauge("index_vectors", "Sources that a query can find.", stats.vectors)
        yield _gauge("index_removed", "Removed rows that wait for compaction.", stats.removed)
        yield _gauge("index_generation", "The last change applied.", stats.generation)
        reachable = int(serving.index.trouble() is None)
        yield _gauge("index_up", "Whether the index can be asked.", reachable)
        yield _gauge("index_writer", "Whether this process writes the index.", int(service.writes))
        if stats.recall_at_10 is not None:
            yield _gauge("index_recall_at_10", "Against exact search.", stats.recall_at_10)
        try:
            yield _gauge("index_lag", "Changes that are not applied yet.", serving.follower.lag)
            yield from self._jobs()
            yield self._webhooks()
        except CatalogError:
            yield _gauge("catalog_up", "Whether the catalog can be read.", 0)
        else:
            yield _gauge("catalog_up", "Whether the catalog can be read.", 1)
        yield from self._calibration()
        yield self._storage()

    def _storage(self) -> Metric:
        troubles = self._service.storage.troubles()
        failing = GaugeMetricFamily(
            "attribution_storage_failing",
            "Whether a part cannot be written; erasure: whether what was deleted is still there.",
            labels=["part"],
        )
        for kind in KINDS:
            failing.add_metric([kind], int(kind in troubles))
        return failing

    def _jobs(self) -> Iterator[Metric]:
        load = self._service.catalog.jobs.load()
        jobs = GaugeMetricFamily("attribution_jobs", "Jobs that have not ended.", labels=["state"])
        jobs.add_metric(["queued"], load.queued)
        jobs.add_metric(["running"], load.running)
        yield jobs
        yield _gauge("job_images_waiting", "Images of jobs without a result yet.", load.images)

    def _webhooks(self) -> Metric:
        count = self._service.catalog.webhooks.count()
        messages = GaugeMetricFamily(
            "attribution_webhooks", "Messages that wait, and that were given up.", labels=["state"]
        )
        messages.add_metric(["waiting"], count.waiting)
        messages.add_metric(["dead"], count.dead)
        return messages

    def _calibration(self) -> Iterator[Metric]:
        recent = self._service.metrics.recent.summary()
        yield _gauge(
            "recent_queries", "Last answers with a p-value, at most 1,000.", recent.queries
        )
        unlike = "Those of them that are unlike the background; a hundredth is what chance gives."
        yield _gauge("recent_unlike_background", unlike, recent.unlike)
        told = recent.watched
        for name, words, value in (
            ("without_source", "Estimated share of them.", told.without_source),
            ("evenness", "Near 0: their p-values above one half are too small.", told.evenness),
            ("sameness", "Near 0: the newer half is unlike the older.", told.sameness),
        ):
            if value is not None:
                yield _gauge(f"recent_{name}", words, value)
        calibration = self._service.serving.calibration
        fresh = calibration.state().state == "fresh"
        yield _gauge("calibration_fresh", "Whether a decision can be made now.", int(fresh))
        age = calibration.age_seconds()
        if age is not None:
            yield _gauge("calibration_age_seconds", "Since the null was last computed.", age)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"attribution_{name}", documentation, value=value)


def _rates(choice: Choice) -> Metric:
    rates = GaugeMetricFamily(
        "attribution_engine_queries_per_second",
        "What each engine encoded when they were measured, so many queries in a batch.",
        labels=["engine", "batch"],
    )
    for rate in choice.rates:
        rates.add_metric([rate.engine, str(rate.batch)], rate.queries_per_second)
    return rates
