"""The console script `attribution`: its commands, and how they fail.

A command's module is imported when it is called, not before: torch alone takes seconds, and
`--help` needs none of it.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable
from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperCommand, TyperGroup

from app.cli.console import err

# Name and first line of help; each lives in the module of its name, as NAME_command.
COMMANDS = {
    "demo": "See the whole thing work on real photographs, with nothing downloaded.",
    "ingest": "Add images to the catalog as sources.",
    "query": "Which sources did these images come from?",
    "serve": "Serve the HTTP API and the web page.",
    "index": "Show what the index holds: kind, vectors, generation and measured recall.",
    "generate": "Make synthetic images from the patches of real ones.",
    "train": "Train an encoder from scratch, without labels, and fit its head.",
}
HELP = """Which of the images you hold did this AI-generated image come from?

Start with `attribution demo`. Then: `attribution ingest PHOTOS`, `attribution query IMAGE`,
`attribution serve`. Settings come from ATTRIBUTION_* variables (docs/settings.md); options
override them."""
# What a user can cause and can mend: the message is enough, a traceback would hide it.
EXPECTED = (ValueError, LookupError, OSError, ImportError, RuntimeError)


def command_function(name: str) -> Callable[..., Any]:
    """Import the function behind a command."""
    module = importlib.import_module(f"app.cli.{name}")
    function: Callable[..., Any] = getattr(module, f"{name}_command")
    return function


class LazyCommands(TyperGroup):
    """Lists every command, imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order in which a newcomer meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """As much of a command as a list of commands shows."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The whole command, to be run."""
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None or listed is None:
            return name, listed, rest
        single = typer.Typer(
            add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False
        )
        single.command(name)(command_function(name))
        return name, typer.main.get_command(single), rest


app = typer.Typer(
    name="attribution",
    cls=LazyCommands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    help=HELP,
)


@app.callback()
def _attribution() -> None:
    """Typer needs a callback to make a group of commands that it has not seen."""


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


if __name__ == "__main__":
    main()
