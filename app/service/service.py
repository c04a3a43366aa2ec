"""All that runs on one data folder, opened and closed together; knows no route and no server."""

from __future__ import annotations

import hashlib
import logging
import secrets
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Annotated, cast

from anyio import CapacityLimiter
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from app.access.first_key import guard
from app.encoders.lease import HeldLease
from app.encoders.live import Live, Serving
from app.encoders.switch import Switch
from app.inference.activities import Activities
from app.inference.watchdog import Watchdog
from app.jobs.answerer import answer_live
from app.jobs.worker import IDLE_SECONDS, JobWorker
from app.problems.problem import Problem
from app.reports import Reporter
from app.requests.slots import Slots
from app.service.compactor import Compactor
from app.service.generations import Numbering, Waiting
from app.service.snapshots import SnapshotSaver
from app.service.storage import Storage
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.webhooks.announcer import Announcer
from attribution.catalog import INDEXER, Catalog
from attribution.folder_lock import HeldFolder, Listening, folder_lock
from attribution.index.milvus import forget_removed
from attribution.maintenance import remove_leftovers
from attribution.opening.gallery import vision_of
from attribution.opening.load import Vision
from models.processor import size_pools

logger = logging.getLogger(__name__)

_APPLYING = 2.0  # seconds that a write waits for those before it to reach an index elsewhere
_CALIBRATING = 4  # threads that may wait for the null of a filter, apart from those of all others
WRITING, WORKING = frozenset({"all", "indexer"}), frozenset({"all", "worker"})
"""Roles that write the index and tidy up; and those that work on jobs."""


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """Everything that a request may need.

    What depends on the encoder is asked of `live`: in the service that a request gets it stays the
    same to the end of the request, elsewhere it is what serves at the moment.
    """

    settings: Settings
    metrics: Metrics
    catalog: Catalog
    switch: Switch
    live: Callable[[], Live]
    looking: CapacityLimiter
    waiting: Waiting
    calibrating: CapacityLimiter
    watchdog: Watchdog
    snapshots: SnapshotSaver
    compactor: Compactor
    storage: Storage
    slots: Slots
    numbering: Numbering
    receiving: Slots
    worker: JobWorker
    announcer: Announcer
    reports: Reporter
    drawing: ThreadPoolExecutor
    instance: str
    folder: HeldFolder | None
    lease: HeldLease | None

    def listens_at(self, url: str) -> None:
        """Let commands on the same data folder know where they may ask."""
        if self.folder is not None:
            self.folder.listens(Listening(url, self.instance, self.settings.answers_by))

    @property
    def writes(self) -> bool:
        """Whether this process writes the index that it searches, at this moment."""
        return self.settings.index_url is None or (
            self.serving.writes and self.lease is not None and self.lease.held()
        )

    @property
    def works_on_jobs(self) -> bool:
        """Whether this process does, rather than others."""
        return self.settings.role in WORKING

    @property
    def serving(self) -> Serving:
        """The encoder that answers, with its index, calibration and threads."""
        return self.live().serving

    @property
    def reporter(self) -> Reporter:
        """Makes reports that name the encoder which answered."""
        return replace(self.reports, encoder=self.serving.encoder.card.name)

    def pinned(self) -> Service:
        """The service as it is at this moment, for one piece of work."""
        live = self.switch.live()
        return replace(self, live=lambda: live)

    async def wait_for(self, asked: int, *, within: frozenset[str] | None = None) -> int:
        """Wait until the index has seen generation `asked`, counted in the changes `within`.

        Returns which one of the catalog that is.

        Raises:
            Problem: 409 when the catalog has never been there, 503 when it takes too long.
        """
        generation: int | None = asked
        if within is not None:
            generation = await run_in_threadpool(self.numbering.meant, asked, within)
        if generation is not None and self.serving.index.generation >= generation:
            return generation
        latest = await run_in_threadpool(self.catalog.generation)
        if generation is None or generation > latest:
            shown = await run_in_threadpool(self.numbering.shown, latest, within)
            raise Problem(
                "generation-unknown",
                f"min_generation is {asked}, but the catalog is at {shown}: "
                "no write has returned that number.",
            )
        serving, patience = self.serving, self.settings.generation_wait_seconds
        if not await self.waiting.for_index(serving.index, serving.follower, generation, patience):
            raise Problem("generation-not-reached", retry_after=1)
        return generation

    def apply_writes(self) -> None:
        """Bring this process's index up to the writes just made, so that its next answer has them.

        They are committed already: should this fail, the follower's thread tries again, and no
        answer shows what the catalog no longer holds. A server of vectors that is away keeps no
        write waiting behind the others.
        """
        elsewhere = self.settings.index_url is not None
        try:
            follower = self.serving.follower
            if elsewhere and follower.failed is not None:
                return
            patience = _APPLYING if elsewhere else -1
            follower.catch_up(patience)
            latest = self.switch.live().serving.follower
            if latest is not follower:  # the encoder has changed meanwhile
                latest.catch_up(patience)
        except Exception:
            logger.exception("the index could not follow the catalog at once")


def service_of(request: Request) -> Service:
    """The service that this application runs, as it is when the request first needs it."""
    return cast("Service", request.app.state.service).pinned()


ServiceDependency = Annotated[Service, Depends(service_of)]


@contextmanager
def open_service(
    settings: Settings, vision: Vision | None = None, metrics: Metrics | None = None
) -> Iterator[Service]:
    """Open catalog, encoder, index and threads; on exit finish accepted work and save the index.

    Raises:
        FolderInUse: another service runs on the data folder.
        Unguarded: other machines could reach it, and there are no keys.
    """
    metrics = metrics or Metrics()
    size_pools(settings.inference_threads)
    with ExitStack() as stack:
        instance, writes = secrets.token_hex(8), settings.role in WRITING
        folder: HeldFolder | None = None
        if settings.role == "all":  # the others share it
            folder = stack.enter_context(folder_lock(settings.data, "a service"))
            remove_leftovers(settings.data)
        catalog = stack.enter_context(Catalog.open(settings.data, url=settings.database_url))
        guard(settings, catalog)
        seconds, lease = settings.lease_seconds, None
        if settings.index_url is not None and writes:
            lease = HeldLease(catalog, INDEXER, _holder(settings, instance), seconds=seconds)
            lease.start()
            stack.callback(lease.close)
        leads = (lambda: writes) if lease is None else lease.held
        activities = Activities()
        watchdog = Watchdog(
            activities, patience=settings.hang_seconds, deadline=settings.hang_exit_seconds
        )
        watchdog.start()
        stack.callback(watchdog.close)  # once all embedders have ended, for those may hang as well
        switch = Switch(
            settings,
            catalog,
            vision_of(settings, catalog, vision),
            metrics=metrics,
            activities=activities,
            lease=lease,
        )
        snapshots = SnapshotSaver(
            catalog,
            lambda: switch.live().serving,
            settings.snapshots,
            interval=settings.snapshot_seconds,
        )
        stack.callback(snapshots.close)
        stack.callback(switch.close)
        switch.start()
        url = settings.index_url
        compactor = Compactor(
            catalog,
            switch.bring_to,
            snapshots.save_clean,
            settings.snapshots,
            compact_apart=None if url is None else partial(forget_removed, catalog, url),
            leads=leads,
        )
        announcer = Announcer(settings, catalog, metrics, leads=leads)
        if writes:
            compactor.start()
            stack.callback(compactor.close)
            announcer.start()
        stack.callback(announcer.close)
        shared = settings.index_url is not None  # there may be other workers
        worker_name = f"worker-{_holder(settings, instance)}" if shared else ""
        worker = JobWorker(
            catalog.jobs,
            partial(answer_live, catalog.jobs, switch.live, metrics, announcer),
            calibrating=switch.live().serving.calibrating,
            retention=timedelta(hours=settings.job_retention_hours),
            watcher=metrics,
            name=worker_name,
            idle=settings.follow_seconds if settings.role == "worker" else IDLE_SECONDS,
        )
        if settings.role in WORKING:
            if shared:
                working = HeldLease(catalog, worker_name, worker_name, seconds=seconds)
                working.start()
                stack.callback(working.close)
            worker.start()
            stack.callback(worker.close)
        drawing = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="drawing"))
        yield Service(
            settings=settings,
            metrics=metrics,
            catalog=catalog,
            switch=switch,
            live=switch.live,
            looking=CapacityLimiter(1),
            waiting=Waiting(),
            calibrating=CapacityLimiter(_CALIBRATING),
            watchdog=watchdog,
            snapshots=snapshots,
            compactor=compactor,
            storage=Storage(
                catalog,
                snapshots,
                compactor,
                settings.data,
                shares_index=shared,
            ),
            slots=Slots(settings.queue_limit),
            numbering=Numbering(catalog),
            receiving=Slots(settings.max_active_jobs, unit="new jobs"),
            worker=worker,
            announcer=announcer,
            reports=Reporter.of(settings, catalog, switch.live().serving.encoder),
            drawing=drawing,
            instance=instance,
            folder=folder,
            lease=lease,
        )


def _holder(settings: Settings, instance: str) -> str:
    """What the process calls itself to others on the catalog.

    A service that was killed is known again by its folder, which no other holds, so that it need
    not wait for the end of its own leases.
    """
    if settings.role != "all":
        return f"{settings.role}-{instance}"
    place = f"{socket.gethostname()}:{settings.data.absolute()}"
    return f"all-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
