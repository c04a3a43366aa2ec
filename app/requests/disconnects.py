"""Drops the work of a request whose client has gone away, or has waited long enough."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from app.problems.problem import Problem

T = TypeVar("T")


async def unless_disconnected(
    request: Request, work: Coroutine[Any, Any, T], *, within: float | None = None
) -> T:
    """The result of `work`, which is cancelled when the client hangs up or it takes too long.

    The body must have been read: what is still to come from the client is then only its going.
    What has begun in a thread goes on to its end there, with nobody waiting for it.

    Args:
        request: its body has been read.
        work: may be cancelled at any await.
        within: seconds; None for as long as it takes.

    Raises:
        ClientDisconnect: nobody is left to answer.
        Problem: 503 `overloaded`, after `within` seconds.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((working, watching), timeout=within, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if watching.done():
            raise ClientDisconnect
        raise too_late(within or 0.0)
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


def too_late(seconds: float) -> Problem:
    """The problem of an answer that does not come within so many seconds."""
    return Problem("overloaded", f"There was no answer within {seconds:g} seconds.", retry_after=5)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
