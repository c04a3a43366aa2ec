"""How often a key may call: a token bucket for each key and scope, in this process's memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attribution.catalog import Scope

_WINDOW = 60  # seconds in which a bucket fills up


@dataclass(frozen=True, slots=True)
class Allowance:
    """Where a bucket stands after a request.

    Attributes:
        limit: requests a minute.
        remaining: requests that may follow at once.
        reset: seconds until the bucket is full again.
        retry_after: seconds until the request may be tried again; None when it may go on.
    """

    limit: int
    remaining: int
    reset: int
    retry_after: int | None

    def headers(self) -> dict[str, str]:
        """The RateLimit fields of draft-ietf-httpapi-ratelimit-headers (up to version 06)."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
            "RateLimit-Policy": f"{self.limit};w={_WINDOW}",
        }


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rates:
    """The buckets of all keys; there are at most as many as keys times scopes.

    Not for several threads: the event loop alone calls it.

    Args:
        per_minute: requests a minute by scope, which may come in one burst; 0 for no limit.
        clock: seconds, never going back.
    """

    def __init__(
        self, per_minute: Mapping[Scope, int], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute = dict(per_minute)
        self._clock = clock
        self._buckets: dict[tuple[str, Scope], _Bucket] = {}

    def take(self, key_id: str, scope: Scope) -> Allowance | None:
        """Take one request from a key's bucket; None where this scope has no limit."""
        limit = self._per_minute.get(scope, 0)
        if limit == 0:
            return None
        now = self._clock()
        bucket = self._buckets.setdefault((key_id, scope), _Bucket(float(limit), now))
        bucket.tokens = min(limit, bucket.tokens + (now - bucket.at) * limit / _WINDOW)
        bucket.at = now
        refused = bucket.tokens < 1
        if not refused:
            bucket.tokens -= 1
        seconds_a_token = _WINDOW / limit
        return Allowance(
            limit=limit,
            remaining=int(bucket.tokens),
            reset=math.ceil((limit - bucket.tokens) * seconds_a_token),
            retry_after=math.ceil((1 - bucket.tokens) * seconds_a_token) if refused else None,
        )
