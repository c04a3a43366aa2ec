"""Processes forked from one that has torch and the service imported: importing them takes seconds.

What starts from nothing, as `attribution --help` must to show what it imports, is no matter for
this module.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

START_METHOD = "forkserver"
_CONTEXT = multiprocessing.get_context(START_METHOD)
_CONTEXT.set_forkserver_preload(["tests.support.preloaded"])


class Fork:
    """`target(*arguments)` as a process of its own; used like a `subprocess.Popen` with pipes.

    Args:
        target: a function of a module; it runs with one thread.
        arguments: what it is called with.
        environment: variables besides those of this process, of which `ATTRIBUTION_*` are left out.
    """

    def __init__(self, target: Callable[..., object], *arguments: object, **environment: str):
        inherited = {name: value for name, value in os.environ.items() if "ATTRIBUTION" not in name}
        variables = inherited | {"OMP_NUM_THREADS": "1"} | environment
        out, child_out = _CONTEXT.Pipe(duplex=False)
        err, child_err = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(
            target=_run, args=(child_out, child_err, variables, target, arguments)
        )
        self._process.start()
        for end in (child_out, child_err):
            end.close()
        self.stdout, self.stderr = (_text(end) for end in (out, err))
        atexit.register(self.kill)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Minus the number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that it writes until it ends; an AssertionError where that takes more seconds."""
        with ThreadPoolExecutor(2) as pool:
            texts = [pool.submit(pipe.read) for pipe in (self.stdout, self.stderr)]
            if self.wait(timeout) is None:
                self.kill()
                raise AssertionError("it did not end in time: " + texts[1].result())
            return texts[0].result(), texts[1].result()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Forget one that has ended."""
        atexit.unregister(self.kill)
        self.stdout.close()
        self.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.kill()
        self.wait()
        self.close()


def command(*arguments: object, **environment: str) -> Fork:
    """`attribution ARGUMENTS` as a process of its own."""
    return Fork(_command, tuple(map(str, arguments)), **environment)


def write_to(log: Path) -> None:
    """From now on this process writes both outputs to the end of a file."""
    with log.open("a") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)


def _command(arguments: tuple[str, ...]) -> None:
    from app.cli.main import main  # noqa: PLC0415 (this module is imported without torch)

    sys.argv = ["attribution", *arguments]
    main()


def _text(end: Connection):
    with end:
        return os.fdopen(os.dup(end.fileno()))


def _run(
    out: Connection,
    err: Connection,
    variables: dict[str, str],
    target: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    for number, end in enumerate((out, err), start=1):
        with end:
            os.dup2(end.fileno(), number)
    # Those of the process forked from know whether its outputs were files.
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(variables)
    target(*arguments)
