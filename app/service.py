"""The parts of a running service, opened and closed together; knows no route."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, cast

import torch
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from app.activities import Activities
from app.compactor import Compactor
from app.embedder import Embedder
from app.guarding import guard
from app.job_answering import JobAnswerer
from app.measuring import MeasuredAttributor
from app.metrics import Metrics
from app.numbering import Numbering
from app.opening import Vision, decoding_limits, load_vision, open_gallery
from app.problems import Problem
from app.reporting import Reporter
from app.settings import Settings
from app.slots import Slots
from app.snapshots import SnapshotSaver
from app.watchdog import Watchdog
from app.worker import JobWorker
from attribution.attributor import Attributor
from attribution.calibration import Calibration
from attribution.catalog import Catalog
from attribution.index import Follower, Index
from attribution.maintenance import folder_lock, remove_leftovers

logger = logging.getLogger(__name__)

# Threads that search for requests: one that takes too long is not waited for, and not replaced.
_SEARCHES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """Everything that a request may need."""

    settings: Settings
    catalog: Catalog
    index: Index
    calibration: Calibration
    calibrating: threading.Thread
    attributor: Attributor
    embedder: Embedder
    follower: Follower
    watchdog: Watchdog
    searching: ThreadPoolExecutor
    snapshots: SnapshotSaver
    compactor: Compactor
    slots: Slots
    numbering: Numbering
    receiving: Slots
    worker: JobWorker
    reporter: Reporter
    drawing: ThreadPoolExecutor

    async def reach(self, asked: int, *, within: frozenset[str] | None = None) -> None:
        """Wait until the index has seen generation `asked`, counted in the changes `within`.

        Raises:
            Problem: 409 when the catalog has never been there, 503 when it takes too long.
        """
        generation: int | None = asked
        if within is not None:
            generation = await run_in_threadpool(self.numbering.meant, asked, within)
        if generation is not None and self.index.generation >= generation:
            return
        latest = await run_in_threadpool(self.catalog.generation)
        if generation is None or generation > latest:
            shown = await run_in_threadpool(self.numbering.shown, latest, within)
            raise Problem(
                "generation-unknown",
                f"min_generation is {asked}, but the catalog is at {shown}: "
                "no write has returned that number.",
            )
        patience = self.settings.generation_wait_seconds
        if not await run_in_threadpool(self.follower.wait_for, generation, patience):
            raise Problem("generation-not-reached", retry_after=1)

    def apply_writes(self) -> None:
        """Bring this process's index up to the writes just made, so that its next answer has them.

        They are committed already: should this fail, the follower's thread tries again, and no
        answer shows what the catalog no longer holds.
        """
        try:
            self.follower.catch_up()
        except Exception:
            logger.exception("the index could not follow the catalog at once")


def service_of(request: Request) -> Service:
    """The service that this application runs."""
    return cast("Service", request.app.state.service)


ServiceDependency = Annotated[Service, Depends(service_of)]


@contextmanager
def running_service(
    settings: Settings, vision: Vision | None = None, metrics: Metrics | None = None
) -> Iterator[Service]:
    """Open catalog, encoder, index and threads; on exit finish accepted work and save the index.

    Raises:
        FolderInUse: another service runs on the data folder.
        Unguarded: other machines could reach it, and there are no keys.
    """
    metrics = metrics or Metrics()
    if settings.inference_threads:
        torch.set_num_threads(settings.inference_threads)
    with ExitStack() as stack:
        stack.enter_context(folder_lock(settings.data, "a service"))
        remove_leftovers(settings.data)
        vision = vision or load_vision(settings)
        encoder = vision.encoder
        gallery = stack.enter_context(open_gallery(settings, vision))
        guard(settings, gallery.catalog)
        catalog, index, calibration = gallery.catalog, gallery.index, gallery.calibration
        snapshots = SnapshotSaver(index, settings.snapshots, interval=settings.snapshot_seconds)
        stack.callback(snapshots.close)
        follower = Follower(catalog, index, encoder.model_id)
        follower.on_change(calibration.apply)
        follower.start(settings.follow_seconds)
        stack.callback(follower.stop)
        compactor = Compactor(catalog, follower, snapshots.save_clean, settings.snapshots)
        compactor.start()
        stack.callback(compactor.close)
        calibrating = _in_background(calibration.build)
        stack.callback(calibrating.join)
        activities = Activities()
        embedder = Embedder(
            encoder,
            limits=decoding_limits(settings),
            decoding_threads=settings.decoding_threads,
            max_batch=settings.max_inference_batch,
            max_job_batch=settings.max_job_batch,
            metrics=metrics,
            activities=activities,
        )
        watchdog = Watchdog(
            activities, patience=settings.hang_seconds, deadline=settings.hang_exit_seconds
        )
        watchdog.start()
        stack.callback(watchdog.close)  # once the embedder has ended, for that may hang as well
        stack.callback(embedder.close)
        attributor = MeasuredAttributor(gallery.attributor, metrics)
        searching = stack.enter_context(ThreadPoolExecutor(_SEARCHES, "searching"))
        worker = JobWorker(
            catalog.jobs,
            JobAnswerer(catalog.jobs, embedder, attributor),
            calibrating=calibrating,
            retention=timedelta(hours=settings.job_retention_hours),
            watcher=metrics,
        )
        worker.start()
        stack.callback(worker.close)
        drawing = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="drawing"))
        yield Service(
            settings=settings,
            catalog=catalog,
            index=index,
            calibration=calibration,
            calibrating=calibrating,
            attributor=attributor,
            embedder=embedder,
            follower=follower,
            watchdog=watchdog,
            searching=searching,
            snapshots=snapshots,
            compactor=compactor,
            slots=Slots(settings.queue_limit),
            numbering=Numbering(catalog),
            receiving=Slots(settings.max_active_jobs, unit="new jobs"),
            worker=worker,
            reporter=Reporter.of(settings, catalog, encoder),
            drawing=drawing,
        )


def _in_background(build: Callable[[], None]) -> threading.Thread:
    """Calibrate beside the first queries: until it is done they get ranks, but no decision."""

    def run() -> None:
        try:
            build()
        except Exception:
            logger.exception("calibration failed: answers will have no decision")

    thread = threading.Thread(target=run, name="calibration", daemon=True)
    thread.start()
    return thread
