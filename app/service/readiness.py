"""Whether the service would answer a query and work on a job, and if not, why."""

from __future__ import annotations

from app.problems.problem import Problem
from app.service.service import Service


def require_ready(service: Service) -> None:
    """Refuse while something that the service cannot do without does not work.

    Raises:
        Problem: 503 `not-ready`, with the first reason found.
        CatalogError: the catalog cannot be read.
    """
    serving = service.serving
    for broken, reason in (
        (not serving.embedder.alive, "The inference thread does not run."),
        (
            service.watchdog.hung is not None,
            "The encoder, a decoder or a search does not come back.",
        ),
        (serving.embedder.failing, "The encoder fails on every image."),
        (
            service.works_on_jobs and not service.worker.alive,
            "The thread that works on jobs does not run.",
        ),
        (service.worker.failing, "Work on jobs fails again and again."),
        (serving.follower.failed is not None, "The index cannot follow the catalog."),
    ):
        if broken:
            raise Problem("not-ready", reason, retry_after=5)
    if trouble := serving.index.trouble():
        raise Problem("not-ready", f"The index cannot be asked: {trouble}.", retry_after=5)
    if serving.calibrating.is_alive() or serving.calibration.wanting:
        raise Problem(
            "not-ready", "Calibration is under way; queries get no decision yet.", retry_after=1
        )
    service.catalog.generation()
