"""What commands print: words on stderr for people, JSON on stdout for machines."""

from __future__ import annotations

import json
import sys
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

out = Console()
err = Console(stderr=True)


def progress(**columns: str) -> Progress:
    """A progress bar on stderr; extra `columns` show fields of the task."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(template) for template in columns.values()),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=False,
    )


def print_json(document: Any, *, line: bool = False) -> None:
    """Write a document to stdout, indented or as one line of JSON Lines."""
    text = json.dumps(document, ensure_ascii=False, default=str, indent=None if line else 2)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
