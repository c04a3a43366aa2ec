"""The command line in this process; `tests.support.forks.command` makes it one of its own."""

import contextlib
import io
import json
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
