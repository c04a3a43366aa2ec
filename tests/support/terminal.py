"""The command line, called in this process where that will do: importing torch costs seconds."""

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from app.cli.main import main


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        """What --json printed: stdout must hold nothing else."""
        return json.loads(self.out)


def call(*arguments: object) -> Finished:
    """`attribution ARGUMENTS` in this process, by the function that the console script calls."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["attribution", *map(str, arguments)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as stop:
                code = stop.code or 0
    assert isinstance(code, int), code
    return Finished(code, out.getvalue(), err.getvalue())


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """`attribution ARGUMENTS` as a process of its own, with one thread and these variables."""
    inherited = {name: value for name, value in os.environ.items() if "ATTRIBUTION" not in name}
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", *map(str, arguments)],
        env=inherited | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
