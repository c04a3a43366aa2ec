"""How slowly a request body may arrive; knows neither its content nor its route.

A slot is held while a body arrives, so one that never does would hold it for good.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from starlette.types import Message, Receive

from app.problems.problem import Problem


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


def paced(receive: Receive, pace: Pace) -> Receive:
    """`receive`, raising a 408 where the body comes too slowly.

    Only the time spent waiting for the client counts. Once the body is there, waiting for the
    client to hang up takes as long as it takes.
    """
    received = 0
    waited = 0.0
    complete = False

    async def receive_paced() -> Message:
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
        return message

    return receive_paced


def _too_slow(received: int) -> Problem:
    return Problem(
        "request-timeout",
        f"The body came too slowly: {received:,} bytes of it had arrived. Send it again, without "
        "pausing and over a faster connection.",
        headers={"Connection": "close"},
    )
