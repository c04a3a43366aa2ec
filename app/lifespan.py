"""Starts the service with the application and stops it with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app.encoders.gallery import Vision
from app.middleware.telemetry import Tracer
from app.service.service import running_service
from app.settings import Settings
from app.telemetry.metrics import Metrics


def lifespan_of(
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
            stack.enter_context(metrics.watching(service))
            opened = stack.pop_all()
            try:
                yield
            finally:
                await run_in_threadpool(opened.close)

    return lifespan
