"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds for what must happen, on whatever machine: it costs nothing where it happens soon."""


def wait_for(condition: Callable[[], object], timeout: float = PATIENCE) -> None:
    """Ask until it is so; an AssertionError where that takes more seconds."""
    deadline, pause = time.monotonic() + timeout, 0.005
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(pause)
        pause = min(1.5 * pause, 0.05)  # asking is work for the one that is asked
