"""The console script `attribution`: its commands, and how they fail."""

from __future__ import annotations

import logging
import sys

import typer
from pydantic import ValidationError

from app.cli.console import err
from app.cli.demo import demo_command
from app.cli.generate import generate_command
from app.cli.index import index_command
from app.cli.ingest import ingest_command
from app.cli.query import query_command
from app.cli.serve import serve_command
from app.cli.train import train_command

app = typer.Typer(
    name="attribution",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="""Which of the images you hold did this AI-generated image come from?

Start with `attribution demo`. Then: `attribution ingest PHOTOS`, `attribution query IMAGE`,
`attribution serve`. Settings come from ATTRIBUTION_* variables (docs/settings.md); options
override them.""",
)
for command in (
    demo_command,
    ingest_command,
    query_command,
    serve_command,
    index_command,
    generate_command,
    train_command,
):
    app.command(command.__name__.removesuffix("_command"))(command)

# What a user can cause and can mend: the message is enough, a traceback would hide it.
EXPECTED = (ValueError, LookupError, OSError, ImportError, RuntimeError)


def main() -> None:
    """Run the command line; expected failures are one line on stderr and exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except KeyboardInterrupt:
        err.print("interrupted; everything acknowledged is kept", style="yellow")
        sys.exit(130)
    except ValidationError as error:
        for problem in error.errors():
            place = ".".join(map(str, problem["loc"])) or "settings"
            err.print(f"{place}: {problem['msg']}", style="red", markup=False)
        sys.exit(2)
    except EXPECTED as error:
        err.print(str(error) or type(error).__name__, style="red", markup=False)
        sys.exit(1)
