"""How a command fails on what a user can mend: one line on stderr and an exit code, no traceback.

It imports nothing of the rest, so that `--help` stays quick.
"""

from __future__ import annotations

_OWN = {"app", "attribution", "models"}
FAILED, MISUSED, INTERRUPTED = 1, 2, 130


class BadInvocation(ValueError):
    """An option or a variable has a value with which no command could start: exit code 2."""


def is_expected(error: Exception) -> bool:
    """Whether the message says it all: the project's own errors, files, and missing extras.

    Anything else is a mistake of ours, whose traceback must be seen.
    """
    return type(error).__module__.split(".")[0] in _OWN or isinstance(error, OSError | ImportError)


def exit_code(error: Exception) -> int:
    """2 for what was wrong before anything began, like the exit code of a misspelt option."""
    return MISUSED if isinstance(error, BadInvocation) else FAILED
