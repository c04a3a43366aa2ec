"""Puts the application together: settings in, an ASGI application out, its service opened once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from functools import cache
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from app.access.rates import Rates
from app.middleware.access import AccessMiddleware
from app.middleware.bodies import BodyLimitMiddleware
from app.middleware.cors import NamedOriginsMiddleware
from app.middleware.envelope import EnvelopeMiddleware
from app.middleware.head import HeadMiddleware
from app.middleware.proxies import ProxiesMiddleware
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
from app.service.service import open_service
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.version import service_version
from attribution.opening.load import Vision

if TYPE_CHECKING:  # needs an extra
    from app.telemetry.tracing import RequestTracer

_DESCRIPTION = """\
Which of the images you hold did this AI-generated image come from, and how sure is that?

Every error is an RFC 9457 problem document. Writes return a `generation`; a query that passes it
as `min_generation` has seen the write. The same image gets the same answer alone or in a batch.
"""


@contextmanager
def open_app(settings: Settings, vision: Vision | None = None) -> Iterator[FastAPI]:
    """The application with its service open behind it, ready to be served.

    Whoever serves it closes the service when it stops, as long as it has a loop for the requests
    that are not finished; at the latest the end of the block does.

    Args:
        settings: of the service.
        vision: spares loading the encoder that the settings name.

    Raises:
        BadKey: the signing key of the settings cannot be used; BadFont: nor can the font.
        FolderInUse, Unguarded, EncoderUnavailable, CatalogError: see `open_service`.
    """
    check_reports(settings)
    with ExitStack() as closing:
        app = create_app(settings, closing)
        metrics: Metrics = app.state.metrics
        service = closing.enter_context(open_service(settings, vision, metrics))
        closing.enter_context(metrics.showing(ServiceGauges(service)))
        app.state.service = service
        yield app


def create_app(settings: Settings, closing: ExitStack | None = None) -> FastAPI:
    """The application alone, enough to be described; `open_app` puts a service behind it.

    Args:
        settings: of the service to come.
        closing: closed when the server stops.
    """
    closing = closing or ExitStack()
    measures, tracer = Metrics(), _tracer(settings)
    if tracer is not None:
        closing.callback(tracer.close)
    app = FastAPI(
        title="Synthetic image attribution",
        summary="Ranked sources with calibrated shares, and an honest no",
        description=_DESCRIPTION,
        version=service_version(),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=_closed_by_the_server(closing),
        middleware=_middleware(settings, measures, tracer),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.metrics = measures
    mapping.install(app)
    app.router.routes.extend(_every_route().routes)
    pages.install(app)
    openapi.install(app)
    return app


@cache
def _every_route() -> APIRouter:
    """The routes of any application: what FastAPI makes of them is made once a process."""
    every = APIRouter(generate_unique_id_function=lambda route: route.name)
    # Fixed paths such as /v1/sources/export come before /v1/sources/{source_id}.
    for routes in (
        attributions, report_key, jobs, source_lists, sources, collections, index, health, pages,
    ):  # fmt: skip
        every.include_router(routes.router)
    return every


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
        Middleware(ProxiesMiddleware, root_path=settings.root_path or "", trusted=settings.proxies),
        Middleware(TelemetryMiddleware, metrics=metrics, tracer=tracer),
        Middleware(EnvelopeMiddleware),
        *([Middleware(NamedOriginsMiddleware, origins=origins)] if origins else []),
        Middleware(HeadMiddleware),
        Middleware(AccessMiddleware, settings=settings, rates=rates),
        Middleware(BodyLimitMiddleware, limits=settings, room=room),
    ]


def _closed_by_the_server(
    closing: ExitStack,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """A lifespan that begins with what is open already, and closes it when the server stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            # Closing waits for threads: it may not stall the loop, which still has accepted
            # requests to finish.
            await run_in_threadpool(closing.close)

    return lifespan


def _tracer(settings: Settings) -> RequestTracer | None:
    if not settings.tracing:
        return None
    from app.telemetry.tracing import RequestTracer  # noqa: PLC0415

    return RequestTracer()
