"""The standard streams of a command: closed, full, or read by nobody. Imports nothing heavy."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def _open_the_closed() -> None:
    """Give standard streams that the caller has closed to nowhere.

    Else the next file that is opened gets their number, and whatever is printed is written there.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


class StdoutFailed(OSError):
    """What was to be printed could not be; the reader may have gone, as `head` does."""

    def __str__(self) -> str:
        return f"stdout cannot be written: {self.strerror}"


class _Stdout(io.TextIOWrapper):
    """Says of a failing write that it was stdout's, and not that of some file."""

    def write(self, text: str, /) -> int:
        with self._once():
            return super().write(text)

    def flush(self) -> None:
        with self._once():
            super().flush()

    @contextmanager
    def _once(self) -> Iterator[None]:
        """Whoever closes it later has nothing more to say about it."""
        try:
            yield
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            raise StdoutFailed(error.errno, error.strerror) from error


def prepare_streams() -> None:
    """Have stdout take any name of a file, and fail in words; for the start of a command."""
    _open_the_closed()
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return
    encoding, by_lines = sys.stdout.encoding, sys.stdout.line_buffering
    # A file name that is no text in this locale must not stop an answer half-way.
    sys.stdout = _Stdout(sys.stdout.detach(), encoding, "backslashreplace", line_buffering=by_lines)
