"""Starts the service with the application and stops it with it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app.opening import Vision
from app.service import running_service
from app.settings import Settings

logger = logging.getLogger(__name__)


def lifespan_of(
    settings: Settings, vision: Vision | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """The lifespan of an application with these settings; `vision` spares loading."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not settings.local_only:
            logger.warning(
                "listening on %s, which is not a loopback address, and there are no keys: "
                "whoever reaches the port may query, add and delete",
                settings.host,
            )
        with ExitStack() as stack:
            # Opening reads files and closing waits for threads: neither may stall the loop, which
            # still has accepted requests to finish.
            app.state.service = await run_in_threadpool(
                stack.enter_context, running_service(settings, vision)
            )
            opened = stack.pop_all()
            try:
                yield
            finally:
                await run_in_threadpool(opened.close)

    return lifespan
