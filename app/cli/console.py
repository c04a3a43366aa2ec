"""What commands print: answers on stdout, for people or as JSON; progress and trouble on stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

WIDTH = 110
"""Columns where there is no terminal to ask, such as in a log."""

SHOWN = 20
"""Of many lines of one kind, how many are printed."""


class _Printable(Console):
    """A console on which other people's text moves no cursor and turns no letters round."""

    def render_str(self, text: str, **options: Any) -> Text:
        """As `Console`, with controls spelt out: a title must not overwrite what is said of it."""
        return super().render_str(printable(text), **options)


def printable(text: str) -> str:
    """The text with control and reordering characters spelt out, but for line ends and tabs."""
    return _CONTROLS.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def one_line(text: object) -> str:
    """As `printable`, without line ends and tabs: no name of a file passes for a line of ours."""
    return re.sub("[\t\n]", lambda found: f"<U+{ord(found[0]):04X}>", printable(str(text)))


# C0 and C1 controls, line separators, and what changes the direction of the letters after it.
_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def _console(*, stderr: bool) -> Console:
    # Titles and paths are other people's text: "[/b]" in one of them is no markup.
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDTH
    return _Printable(stderr=stderr, width=width, markup=False, emoji=False)


out = _console(stderr=False)
err = _console(stderr=True)


def note(message: str) -> None:
    """One line on stderr about how something was done."""
    err.print(one_line(message), style="dim", soft_wrap=True, highlight=False)


def warn(message: str) -> None:
    """One line on stderr about something that does not stop the command."""
    err.print(one_line(message), style="yellow", soft_wrap=True, highlight=False)


def warn_of_each(lines: Sequence[str], *, where: str = "") -> None:
    """A line for each of the first, then how many more there are and `where` all are listed."""
    for line in lines[:SHOWN]:
        warn(line)
    if len(lines) > SHOWN:
        warn(f"and {len(lines) - SHOWN} more" + (f"; {where}" if where else ""))


def fail(message: str) -> None:
    """One line on stderr about what went wrong and what to do."""
    err.print(message, style="red", soft_wrap=True, highlight=False)


def fail_about(what: object, error: Exception | str) -> None:
    """One line on stderr about one of several things: which one, and why it came to nothing."""
    # An OSError names its file again.
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    fail(one_line(f"{what}: {reason}"))


def progress(**columns: str) -> Progress:
    """A progress bar on stderr, on terminals only; extra `columns` show fields of the task."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(template, markup=False) for template in columns.values()),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=False,
        disable=not err.is_terminal,
    )


def print_json(document: Any, *, line: bool = False) -> None:
    """Write a document to stdout, indented or as one line of JSON Lines; plain ASCII."""
    text = json.dumps(document, default=str, indent=None if line else 2)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def show(document: Any, words: str | Table, *, as_json: bool, **style: Any) -> None:
    """Write the outcome of a command to stdout: the document for machines, or words for people."""
    if as_json:
        print_json(document)
    else:
        out.print(words, **style)


def flush_right(*names: str) -> list[Column]:
    """Columns of a table that are flushed right."""
    return [Column(name, justify="right") for name in names]


def facts(named: Mapping[str, object]) -> Table:
    """A line for each of them, with its name in front."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in named.items():
        table.add_row(name, str(value))
    return table
