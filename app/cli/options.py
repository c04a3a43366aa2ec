"""Options that several commands share, and the settings that follow from them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from app.cli.failures import BadInvocation
from app.settings import Guarantee as GuaranteeName
from app.settings import Settings, SettingsFileUnusable
from app.settings.file import settings_file
from app.settings.limits import PREFIX
from app.settings.paths import at_home

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def path_given(text: str | Path) -> Path:
    """A path that has to be one: of no text at all the working folder would be made.

    Raises:
        typer.BadParameter: it is empty, or in the home folder of nobody.
    """
    path = path_or_unset(text)
    if path is None:
        raise typer.BadParameter("it is empty; a variable in it may be unset. Write . for here")
    return path


def path_or_unset(text: str | Path) -> Path | None:
    """A path; None for no text at all, which is what a shell makes of a variable that is unset."""
    written = str(text)
    try:
        return at_home(written) if written.strip() else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        parser=path_or_unset,
        metavar="PATH",
        help="Folder of the catalog.  [default: $ATTRIBUTION_DATA or ./var]",
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="`bundled`, a folder made by `attribution train`, or a backbone such as "
        "`dino-vits16`.  [default: $ATTRIBUTION_ENCODER or bundled]",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        parser=path_or_unset,
        metavar="PATH",
        help="Official weights file of a backbone, instead of a download.",
    ),
]
TopK = Annotated[int, typer.Option("--top-k", "-k", min=1, max=100)]
Collections = Annotated[
    list[str] | None,
    typer.Option("--collection", "-c", help="Search only this one; repeat for several."),
]
Alpha = Annotated[
    float | None,
    typer.Option("--alpha", min=1e-9, max=0.5, help="Rate of false attributions to accept."),
]
Guarantee = Annotated[
    GuaranteeName | None,
    typer.Option(
        "--guarantee",
        help="What that rate is promised of: the average over draws of the background, or with "
        "95 % confidence the background that is there.",
    ),
]
AnyWayUp = Annotated[
    bool,
    typer.Option(
        "--any-way-up",
        help="The images may be turned by a quarter or upside down: look at each in all four ways; "
        "p-values are four times as large for it.",
    ),
]
NoSource = Annotated[
    float | None,
    typer.Option(
        "--no-source",
        min=0.001,
        max=0.999,
        help="Share of such images that you believe to come from no source held; shares start "
        "from it, decisions do not depend on it.",
    ),
]
Recall = Annotated[
    float | None,
    typer.Option(
        "--recall",
        min=0.5,
        max=0.99,
        help="Instead of --top-k, list as few sources as hold a true one at this rate, of images "
        "that have one held and are like those that it was measured on (attribution calibrate).",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        parser=path_or_unset,
        metavar="PATH",
        help="File that holds an API key for the service that runs on this data folder, if one "
        "does: it is asked where that gives the same answer sooner.  "
        "[default: $ATTRIBUTION_API_KEY]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines on stdout.")]


def settings_from(
    *,
    data: Path | None = None,
    encoder: str | None = None,
    weights: Path | None = None,
    **others: Any,
) -> Settings:
    """The environment's settings, with what the command line says instead where it says it.

    Raises:
        BadInvocation: a value is out of range, or a variable or the settings file names no setting.
    """
    given = {"data": data, "encoder": encoder or None, "encoder_weights": weights, **others}
    known = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**known)
    except SettingsFileUnusable as error:
        raise BadInvocation(str(error)) from error
    except ValidationError as error:
        said = [_explained(problem, known) for problem in error.errors()]
        raise BadInvocation("\n".join(said)) from error


@contextmanager
def complaints_by_option() -> Iterator[None]:
    """Name the option, not the field of a recipe, where a value is out of range."""
    try:
        yield
    except ValidationError as error:
        wrong = [_complaint(problem["loc"], problem["msg"]) for problem in error.errors()]
        raise BadInvocation("\n".join(wrong)) from error


def _complaint(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not place:
        return message
    return "--" + str(place[0]).replace("_", "-") + ": " + message


def refuse_of_other_generator(invocation: typer.Context, generator: str, other: str) -> None:
    """Refuse options that were given and do nothing with a generator.

    Args:
        invocation: of the command; the help of an option begins with the generator that it is of.
        generator: the chosen one.
        other: the one not chosen.

    Raises:
        BadInvocation: names them and says what to do.
    """
    given = [
        parameter.opts[0]
        for parameter in invocation.command.params
        if (getattr(parameter, "help", None) or "").startswith(f"{other}:")
        and (source := invocation.get_parameter_source(parameter.name or "")) is not None
        and source.name == "COMMANDLINE"
    ]
    if given:
        raise BadInvocation(
            f"--generator {generator} has no {' and no '.join(given)}: leave that out, or give "
            f"--generator {other}"
        )


def encoder_settings_from(
    *,
    data: Path | None = None,
    encoder: str | None = None,
    weights: Path | None = None,
    **others: Any,
) -> Settings:
    """`settings_from` of a command that reads or adds sources: by the catalog's active encoder.

    `--encoder` and `--weights` come first, then the encoder that `attribution reembed` has made
    active, then the environment's.
    """
    settings = settings_from(data=data, encoder=encoder, weights=weights, **others)
    return with_active_encoder(settings, named=bool(encoder) or weights is not None)


def with_active_encoder(settings: Settings, *, named: bool) -> Settings:
    """The settings with the catalog's active encoder, unless the command line has named one."""
    if named:
        return settings
    from attribution.opening.load import active_place_of_folder  # torch takes seconds

    return active_place_of_folder(settings)


def _explained(problem: ErrorDetails, known: Mapping[str, Any]) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    name = str(problem["loc"][0])
    variable = f"{PREFIX}{name}".upper()
    file = settings_file(known, Settings.model_fields["data"].default)
    if file is not None and name not in known and variable not in map(str.upper, os.environ):
        variable = f"{name} in {file[0]}"
    given = problem["input"]
    shown = str(given) if isinstance(given, Path) else repr(given)
    return f"{variable} is {shown}: {message} (docs/settings.md)"


def require_folder(path: Path, option: str = "--out") -> None:
    """Find out before the work whether a file can be written where an option says.

    Raises:
        BadInvocation: its folder does not exist, or it is a folder itself.
    """
    if not path.parent.is_dir():
        raise BadInvocation(f"{option} {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise BadInvocation(f"{option} {path} is a folder: name a file")


def make_folder(path: Path) -> None:
    """Make the folder that `--out` names before the work, and find out whether it takes files.

    Raises:
        OSError: it cannot be made, or this user may not write in it.
    """
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
