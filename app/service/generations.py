"""Numbers of writes as a caller may know them, and waiting for one; knows no HTTP.

The catalog numbers its changes in one row for all collections, so a number tells how much is
written anywhere. To a caller limited to collections, `generation` therefore counts the changes of
those collections alone: it still grows with every write that the caller can see, and tells nothing
of others.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from attribution.catalog import Catalog
from attribution.index import Follower, Index

_LIMITS_KEPT = 256
_LOOK_SECONDS = 0.02  # between looks at the index of those who wait

Limit = frozenset[str] | None


@dataclass(frozen=True, slots=True)
class _Counted:
    generation: int
    count: int


class Numbering:
    """Translates between the catalog's generations and those of a limit (None: the same).

    Safe to call from several threads. Counts are kept and extended, since generations only grow.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._counted: OrderedDict[frozenset[str], _Counted] = OrderedDict()

    def shown(self, generation: int, limit: Limit) -> int:
        """The catalog's `generation` as a caller of this limit knows it."""
        if limit is None:
            return generation
        with self._lock:
            known = self._counted.get(limit, _Counted(0, 0))
        if generation < known.generation:  # an older answer, overtaken by a newer one
            return known.count - self._count(limit, after=generation, until=known.generation)
        count = known.count + self._count(limit, after=known.generation, until=generation)
        self._keep(limit, _Counted(generation, count))
        return count

    def meant(self, generation: int, limit: Limit) -> int | None:
        """The catalog's generation for one that a caller names; None where there is none yet."""
        if limit is None or generation == 0:
            return generation
        return self._catalog.nth_change(limit, generation)

    def _count(self, limit: frozenset[str], *, after: int, until: int) -> int:
        # Asked also where nothing can have changed: what is done must not tell what others wrote.
        return self._catalog.count_changes(limit, after=after, until=until)

    def _keep(self, limit: frozenset[str], counted: _Counted) -> None:
        with self._lock:
            known = self._counted.get(limit)
            if known is None or known.generation < counted.generation:
                self._counted[limit] = counted
            self._counted.move_to_end(limit)
            while len(self._counted) > _LIMITS_KEPT:
                self._counted.popitem(last=False)


class Waiting:
    """Waits for changes on an event loop: threads are for those who have something to do."""

    def __init__(self) -> None:
        self._following = asyncio.Lock()

    async def for_index(
        self, index: Index, follower: Follower, generation: int, seconds: float
    ) -> bool:
        """Whether the index sees a generation in time; one of those who wait has it follow."""
        deadline = time.monotonic() + seconds
        while index.generation < generation:
            left = max(0.0, deadline - time.monotonic())
            if self._following.locked():
                await asyncio.sleep(min(_LOOK_SECONDS, left))
            else:
                async with self._following:
                    await run_in_threadpool(follower.wait_for, generation, left)
            if not left:
                break
        return index.generation >= generation
