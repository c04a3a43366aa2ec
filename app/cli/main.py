"""The console script `attribution`: its commands, and how they fail.

A command's module is imported when it is called, not before: torch alone takes seconds, and
`--help` needs none of it. The list of commands is plain text, for the same reason: what renders
Markdown takes longer to import than the list takes to read.
"""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from app.cli.examples import EXAMPLES
from app.cli.failures import INTERRUPTED, exit_code, is_expected
from app.cli.streams import prepare_streams

# Name and first line of help; each lives in the module or folder of its name, as NAME_command.
COMMANDS = {
    "demo": "See the whole thing work on real photographs, with nothing downloaded.",
    "ingest": "Add images to the catalog as sources.",
    "query": "Which sources did these images come from?",
    "explain": "Draw where an image resembles its sources.",
    "batch": "Attribute many images, against this machine's catalog or a running service.",
    "report": "Put the answer about one image into a document: JSON, HTML or PDF, signed if you "
    "have a key.",
    "serve": "Serve the HTTP API and the web page.",
    "doctor": "Say what is installed and set up, what is missing, and what to do about it.",
    "calibrate": "Fit how shares are divided to the sources you hold.",
    "index": "Show what the index holds: kind, vectors, generation and measured recall.",
    "takedown": "Delete sources for good: no byte of them stays, and they cannot come back.",
    "compact": "Erase what was deleted from database, log, previews and index snapshots.",
    "verify": "Check catalog, previews and index, each by itself and against the others.",
    "backup": "Write a backup of one moment of the data folder, while others read and write.",
    "restore": "Bring a backup back into an empty data folder, or over what is there.",
    "engine": "Export the encoder's network for ONNX Runtime, and see which engine is faster here.",
    "reembed": "Give every source an embedding of another encoder, and change to it while serving.",
    "keys": "Say who may call the service: make, list and revoke API keys.",
    "webhooks": "See what could not be told to the addresses of ATTRIBUTION_WEBHOOK_URLS, and try "
    "again.",
    "generate": "Make synthetic images of which it is known what they came from.",
    "train": "Train an encoder, from scratch or further, without labels, and fit its head.",
    "evaluate": "Measure how well encoders and baselines rank true sources.",
}
HELP = """Which of the images you hold did this AI-generated image come from?

Start with attribution demo. Then: attribution ingest PHOTOS, attribution query IMAGE, attribution
serve. Settings come from ATTRIBUTION_* variables and attribution.toml in the data folder
(docs/settings.md); options override them. attribution doctor says what is missing."""
_WIDTH = 100
"""Columns of the list of commands, where the terminal has them."""
_OBJECTS_BETWEEN_COLLECTIONS = 10_000
"""Python's own 700 has it look 700 times for garbage among what torch imports, where there is none:
a fifth of the time that imports take."""


def whole_command(name: str) -> Any:
    """Import a command: the function NAME_command, or NAME_group where it has commands itself.

    A command that is more than a file is a folder of its name, with the function in `command`.
    """
    is_folder = (Path(__file__).parent / name).is_dir()
    module = importlib.import_module(f"app.cli.{name}.command" if is_folder else f"app.cli.{name}")
    group = getattr(module, f"{name}_group", None)
    if group is None:
        group = typer.Typer(
            add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False
        )
        group.command(name)(getattr(module, f"{name}_command"))
    return _with_examples(typer.main.get_command(group), name)


def _with_examples(command: Any, name: str) -> Any:
    """The command and those in it, each with an example at the end of its help."""
    command.epilog = f"Example: `{EXAMPLES[name]}`"
    for inner, each in getattr(command, "commands", {}).items():
        _with_examples(each, f"{name} {inner}")
    return command


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
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name], short_help=COMMANDS[cmd_name])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The whole command, to be run."""
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None or listed is None:
            return name, listed, rest
        return name, whole_command(name), rest


app = typer.Typer(
    name="attribution",
    cls=LazyCommands,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": _WIDTH},
    pretty_exceptions_enable=False,
    help=HELP,
)


def _tell_version(asked: bool) -> None:
    if asked:
        from app.version import service_version  # reads what is installed

        typer.echo(f"attribution {service_version()}")
        raise typer.Exit


@app.callback()
def _attribution(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_tell_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Typer needs a callback to make a group of commands that it has not seen."""
    del version


def main() -> None:
    """Run the command line; expected failures are one line on stderr and an exit code."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    prepare_streams()
    try:
        app(prog_name="attribution")
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            from app.cli.console import warn  # rich, which `--help` does without

            warn("interrupted; what was written is kept")
        raise
    except Exception as error:
        if not is_expected(error):
            raise
        from app.cli.console import fail

        fail(str(error) or type(error).__name__)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
