"""Puts the application together: settings in, an ASGI application out."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from app import describing, errors, pages
from app.access import OwnPagesMiddleware
from app.admission import BodyLimitMiddleware
from app.envelope import EnvelopeMiddleware
from app.lifespan import lifespan_of
from app.opening import Vision
from app.routes import attributions, collections, health, index, source_lists, sources
from app.settings import Settings
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
    """
    settings = settings or Settings()
    vision = None if encoder is None else Vision(encoder, background)
    app = FastAPI(
        title="Synthetic image attribution",
        summary="Ranked sources with calibrated shares, and an honest no",
        description=_DESCRIPTION,
        version=_version(),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan_of(settings, vision),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    # The middleware added last is outermost and sees a request first.
    app.add_middleware(
        BodyLimitMiddleware,
        max_request_bytes=settings.max_request_bytes,
        max_image_bytes=settings.max_image_bytes,
    )
    app.add_middleware(OwnPagesMiddleware, local_only=settings.local_only)
    app.add_middleware(EnvelopeMiddleware)
    errors.install(app)
    # Fixed paths such as /v1/sources/export come before /v1/sources/{source_id}.
    for routes in (attributions, source_lists, sources, collections, index, health):
        app.include_router(routes.router)
    pages.install(app)
    describing.install(app)
    return app


def _version() -> str:
    try:
        return version("attribution")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0"
