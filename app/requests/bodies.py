"""How large a request body may be and how slowly it may arrive; knows neither content nor route.

A slot is held while a body arrives, so one that never does would hold it for good.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from app.problems.problem import Problem


def too_large(slug: str, limit: int) -> Problem:
    """The problem of a body beyond `limit` bytes."""
    return Problem(
        slug,
        f"The body is larger than the {limit / 1e6:.3g} MB allowed here: send a smaller or more "
        "strongly compressed image, or fewer at a time.",
    )


def declared_bytes(headers: Headers) -> int:
    """Content-Length, or 0 where there is none (the server has refused a malformed one)."""
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


@dataclass(frozen=True, slots=True)
class Pace:
    """The slowest a body may be.

    Attributes:
        silence: seconds without a byte.
        rate: bytes a second on average, once `silence` has passed; 0 for any.
    """

    silence: float
    rate: int

    def patience(self, received: int, waited: float) -> float:
        """How much longer to wait for more, when so many bytes took so many seconds to come."""
        if not self.rate:
            return self.silence
        return min(self.silence, self.silence + received / self.rate - waited)


def watched(receive: Receive, pace: Pace, arrived: Callable[[int], None]) -> Receive:
    """`receive`, raising a 408 where the body comes too slowly.

    Only the time spent waiting for the client counts. Once the body is there, waiting for the
    client to hang up takes as long as it takes.

    Args:
        receive: of a request.
        pace: the slowest the body may be.
        arrived: told after each message how many bytes there are by now; it may refuse them.
    """
    received = 0
    waited = 0.0
    complete = False

    async def receive_watched() -> Message:
        nonlocal received, waited, complete
        if complete:
            return await receive()
        started = time.monotonic()
        try:
            async with asyncio.timeout(pace.patience(received, waited)):
                message = await receive()
        except TimeoutError:
            raise _too_slow(received) from None
        waited += time.monotonic() - started
        received += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        arrived(received)
        return message

    return receive_watched


def _too_slow(received: int) -> Problem:
    return Problem(
        "request-timeout",
        f"The body came too slowly: {received:,} bytes of it had arrived. Send it again, without "
        "pausing and over a faster connection.",
        headers={"Connection": "close"},
    )
