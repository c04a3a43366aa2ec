"""Ends a process whose encoder or decoder does not come back, for its supervisor to start again.

Nothing that was acknowledged is lost: it is on the disk, as after a `kill -9`.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable

from app.inference.activities import Activities, Activity

logger = logging.getLogger(__name__)

EXIT_CODE = 70
"""Of a process that has ended itself: `EX_SOFTWARE` of sysexits.h, an internal software error."""
_LONGEST_PAUSE = 1.0


class Watchdog:
    """A thread that looks how long the present work has been under way.

    Args:
        activities: what is under way.
        patience: seconds after which work counts as hung, and the service as not ready.
        deadline: seconds after which the process is ended; 0 for never.
        end: ends the process.
    """

    def __init__(
        self,
        activities: Activities,
        *,
        patience: float,
        deadline: float,
        end: Callable[[Activity], None] | None = None,
    ) -> None:
        self._activities = activities
        self._patience = patience
        self._deadline = deadline
        self._end = end or _end_process
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End the thread. To be called after the work has ended, for that may hang as well."""
        self._stopping.set()
        self._thread.join()

    @property
    def hung(self) -> Activity | None:
        """The work that has been under way for too long, if any has."""
        longest = self._activities.longest()
        return longest if longest is not None and longest.seconds > self._patience else None

    def _work(self) -> None:
        if not self._deadline:
            return
        while not self._stopping.wait(min(_LONGEST_PAUSE, self._deadline / 4)):
            longest = self._activities.longest()
            if longest is not None and longest.seconds > self._deadline:
                self._end(longest)
                return


def _end_process(activity: Activity) -> None:
    logger.critical(
        "%s has not come back for %.0f seconds: this process ends, to be started again; "
        "where its threads are follows",
        activity.work,
        activity.seconds,
    )
    faulthandler.dump_traceback(all_threads=True)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(EXIT_CODE)  # what hangs would keep any other way of ending waiting
