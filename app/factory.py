"""Puts the application together: settings in, an ASGI application and its lifespan out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from app.access.rates import Rates
from app.encoders.gallery import Vision
from app.middleware.access import AccessMiddleware
from app.middleware.bodies import BodyLimitMiddleware
from app.middleware.cors import NamedOriginsMiddleware
from app.middleware.envelope import EnvelopeMiddleware
from app.middleware.telemetry import TelemetryMiddleware
from app.problems import mapping
from app.reports import check_reports
from app.requests.slots import Slots
from app.routes import (
    attributions,
    collections,
    health,
    index,
    jobs,
    openapi,
    pages,
    report_key,
    source_lists,
    sources,
)
from app.service.gauges import ServiceGauges
from app.service.service import running_service
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.version import service_version
from models.background import Background
from models.encoder import Encoder

if TYPE_CHECKING:  # needs an extra
    from app.telemetry.tracing import RequestTracer

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
    app = FastAPI(
        title="Synthetic image attribution",
        summary="Ranked sources with calibrated shares, and an honest no",
        description=_DESCRIPTION,
        version=service_version(),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=_lifespan_of(settings, vision, measures, tracer),
        middleware=_middleware(settings, measures, tracer),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.metrics = measures
    mapping.install(app)
    # Fixed paths such as /v1/sources/export come before /v1/sources/{source_id}.
    for routes in (
        attributions, report_key, jobs, source_lists, sources, collections, index, health,
    ):  # fmt: skip
        app.include_router(routes.router)
    pages.install(app)
    openapi.install(app)
    return app


def _middleware(
    settings: Settings, metrics: Metrics, tracer: RequestTracer | None
) -> list[Middleware]:
    """What a request meets on its way to a route, in this order."""
    origins = settings.allowed_origins
    room = Slots(settings.max_received_bytes, unit="bytes of requests")
    metrics.watch_room(lambda: room.taken)
    rates = Rates(
        {
            "query": settings.query_rate,
            "curate": settings.curate_rate,
            "admin": settings.admin_rate,
        }
    )
    return [
        Middleware(TelemetryMiddleware, metrics=metrics, tracer=tracer),
        Middleware(EnvelopeMiddleware),
        *([Middleware(NamedOriginsMiddleware, origins=origins)] if origins else []),
        Middleware(AccessMiddleware, settings=settings, rates=rates),
        Middleware(BodyLimitMiddleware, limits=settings, room=room),
    ]


def _lifespan_of(
    settings: Settings, vision: Vision | None, metrics: Metrics, tracer: RequestTracer | None
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


def _tracer(settings: Settings) -> RequestTracer | None:
    if not settings.tracing:
        return None
    from app.telemetry.tracing import RequestTracer  # noqa: PLC0415

    return RequestTracer()
