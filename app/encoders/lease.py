"""A lease of the catalog that this process keeps as long as it lives; knows not what it is for."""

from __future__ import annotations

import logging
import threading
import time

from attribution.catalog import Catalog, CatalogError

logger = logging.getLogger(__name__)

_RENEWALS = 4
"""How often a lease is renewed, or asked for, in the time that it holds."""


class HeldLease:
    """Takes a lease as soon as it is free, and renews it from a thread until `close`.

    Args:
        catalog: whose lease.
        name: of the lease.
        holder: what this process calls itself.
        seconds: how long it holds after it was taken or renewed; a quarter of that later than so
            long after the death of its holder, another has it.

    Attributes:
        holder: what this process calls itself.
        taken_by_another: whether another held it when it was asked for last. One that has merely
            ended, because the catalog could not be reached, is had again where nobody took it.
    """

    def __init__(self, catalog: Catalog, name: str, holder: str, *, seconds: float) -> None:
        self._catalog, self._name, self.holder = catalog, name, holder
        self._seconds = seconds
        self._until = float("-inf")
        self.taken_by_another = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"lease-{name}", daemon=True)

    def held(self) -> bool:
        """Whether it is held for sure, by this machine's clock from before it was taken."""
        return time.monotonic() < self._until

    def start(self) -> None:
        """Try to take it here and now, then go on from a thread."""
        self._renew()
        self._thread.start()

    def close(self) -> None:
        """Give it back, so that nobody has to wait for its end."""
        self._stopping.set()
        self._thread.join()
        self._until = float("-inf")
        try:
            self._catalog.leases.give_back(self._name, self.holder)
        except CatalogError as error:
            logger.warning("lease %s ends by itself: %s", self._name, error)

    def _work(self) -> None:
        while not self._stopping.wait(self._seconds / _RENEWALS):
            try:
                self._renew()
            except CatalogError as error:
                logger.warning("lease %s could not be renewed: %s", self._name, error)
            except Exception:
                logger.exception("lease %s could not be renewed", self._name)

    def _renew(self) -> None:
        asked, before = time.monotonic(), self.held()
        self.taken_by_another = not self._catalog.leases.take(
            self._name, self.holder, self._seconds
        )
        if self.taken_by_another:
            if before:
                logger.warning("lease %s is held by another process now", self._name)
            self._until = float("-inf")
            return
        self._until = asked + self._seconds
        if not before:
            logger.info("lease %s is held by this process", self._name)
