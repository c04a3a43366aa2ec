"""Puts the application together: settings in, an ASGI application and its lifespan out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app.access.rates import Rates
from app.encoders.gallery import Vision
from app.middleware.access import AccessMiddleware, Doors
from app.middleware.bodies import BodyLimitMiddleware
from app.middleware.cors import CorsMiddleware
from app.middleware.envelope import EnvelopeMiddleware
from app.middleware.telemetry import TelemetryMiddleware, Tracer
from app.problems import mapping as errors
from app.reports import check_reports
from app.requests.bodies import Pace
from app.requests.slots import Slots
from app.routes import (
    attributions,
    collections,
    health,
    index,
    jobs,
    metrics,
    pages,
    report_key,
    source_lists,
    sources,
)
from app.routes import openapi as describing
from app.service.gauges import ServiceGauges
from app.service.service import running_service
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.version import service_version
from models.background import Background
from models.encoder import Encoder

_DESCRIPTION = """\
Which of the images you hold did this AI-generated image come from, and how sure is that?

Every error is an RFC 9457 problem document. Writes return a `generation`; a query that passes it
as `min_generation` has seen the write. The same image gets the same answer alone or in a batch.
"""


def create_app(
    settings: Settings | None = None,
    *,
    encoder: Encoder | None = None,
    background: Background | None = None,
) -> FastAPI:
    """The HTTP service.

    Args:
        settings: read from the environment when None.
        encoder: used instead of loading the one that the settings name.
        background: goes with `encoder`; without it nothing is decided.

    Raises:
        BadKey: the signing key of the settings cannot be used; BadFont: nor can the font.
    """
    settings = settings or Settings()
    check_reports(settings)  # one line now, not a traceback out of the server later
    vision = None if encoder is None else Vision(encoder, background)
    measures, tracer = Metrics(), _tracer(settings)
    room = Slots(settings.max_received_bytes, unit="bytes of requests")
    app = FastAPI(
        title="Synthetic image attribution",
        summary="Ranked sources with calibrated shares, and an honest no",
        description=_DESCRIPTION,
        version=service_version(),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=_lifespan_of(settings, vision, measures, tracer),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    # The middleware added last is outermost and sees a request first.
    app.add_middleware(
        BodyLimitMiddleware,
        max_request_bytes=settings.max_request_bytes,
        max_image_bytes=settings.max_image_bytes,
        max_job_bytes=settings.max_job_bytes,
        room=room,
        pace=Pace(settings.body_silence_seconds, settings.body_rate),
    )
    app.add_middleware(
        AccessMiddleware,
        doors=Doors(settings.local_only, settings.unguarded, settings.allowed_origins),
        rates=Rates(
            {
                "query": settings.query_rate,
                "curate": settings.curate_rate,
                "admin": settings.admin_rate,
            }
        ),
    )
    app.add_middleware(CorsMiddleware, origins=settings.allowed_origins)
    app.add_middleware(EnvelopeMiddleware)
    app.state.metrics = measures
    measures.watch_room(lambda: room.taken)
    app.add_middleware(TelemetryMiddleware, metrics=measures, tracer=tracer)
    errors.install(app)
    # Fixed paths such as /v1/sources/export come before /v1/sources/{source_id}.
    for routes in (attributions, report_key, jobs, source_lists, sources, collections, index):
        app.include_router(routes.router)
    for routes in (health, metrics):
        app.include_router(routes.router)
    pages.install(app)
    describing.install(app)
    return app


def _lifespan_of(
    settings: Settings, vision: Vision | None, metrics: Metrics, tracer: Tracer | None = None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """The lifespan of an application with these settings; `vision` spares loading."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            if tracer is not None:
                stack.callback(tracer.close)
            # Opening reads files and closing waits for threads: neither may stall the loop, which
            # still has accepted requests to finish.
            service = await run_in_threadpool(
                stack.enter_context, running_service(settings, vision, metrics)
            )
            app.state.service = service
            stack.enter_context(metrics.showing(ServiceGauges(service)))
            opened = stack.pop_all()
            try:
                yield
            finally:
                await run_in_threadpool(opened.close)

    return lifespan


def _tracer(settings: Settings) -> Tracer | None:
    if not settings.tracing:
        return None
    from app.telemetry.tracing import RequestTracer  # noqa: PLC0415 (an extra, needed only here)

    return RequestTracer()
