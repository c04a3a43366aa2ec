"""The TOML file that may stand beside the environment: which one it is, and what it may say.

A setting decides which weights are loaded, who is let in and where answers come from, so a file
counts only where an operator put it: the one that ATTRIBUTION_CONFIG names, else the one in the
data folder. None is looked for in the working folder, where pictures of strangers lie.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic_settings import BaseSettings, InitSettingsSource

from app.settings.limits import PREFIX
from app.settings.paths import at_home

NAME = "attribution.toml"
CONFIG = f"{PREFIX}CONFIG"
_PATHS = ("data", "encoder_weights", "admin_key_file", "signing_key", "report_font")
_OURS_TO_SAY = "config"


class SettingsFileUnusable(ValueError):
    """A settings file cannot be used as it is; the message says where, and what to do."""


class SettingsFile(InitSettingsSource):
    """What a TOML file says of the settings; its relative paths begin where it lies."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path, *, in_data: bool) -> None:
        """Read and check it.

        Raises:
            SettingsFileUnusable: it is no TOML, sets what is no setting, or others may write it.
        """
        _refuse_strangers(path, in_data=in_data)
        try:
            said = tomllib.loads(path.read_bytes().decode("utf-8-sig"))  # some editors write a mark
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise SettingsFileUnusable(
                f"{path} is no TOML: {error}; write lines such as port = 8000"
            ) from error
        fields = settings_cls.model_fields
        _refuse_unknown(path, said, set(fields), in_data=in_data)
        for name, value in said.items():
            wanted = fields[name].annotation
            if isinstance(value, bool) and bool not in (wanted, *get_args(wanted)):
                raise SettingsFileUnusable(
                    f"{path} sets {name} to {str(value).lower()}, which is no yes or no"
                )
        values = {name: _anchored(path, name, _listed(value)) for name, value in said.items()}
        super().__init__(settings_cls, values)


def settings_file(given: Mapping[str, Any], default: Path) -> tuple[Path, bool] | None:
    """The file that is read, and whether it is that of the data folder; None for none.

    Args:
        given: settings that come before the environment, as `config` and `data`.
        default: the data folder where nothing names one.

    Raises:
        SettingsFileUnusable: one is named, and there is none.
    """
    named = given.get("config") or _variable("config")
    if named:
        path = at_home(str(named))
        if not path.is_file():
            raise SettingsFileUnusable(f"{CONFIG} is {path}: there is no such file")
        return path, False
    path = at_home(str(given.get("data") or _variable("data") or default)) / NAME
    return (path, True) if path.is_file() else None


def _variable(name: str) -> str | None:
    """What the environment sets, in whatever capitals; an empty variable is unset."""
    wanted = f"{PREFIX}{name}".upper()
    return next(
        (value for key, value in os.environ.items() if key.upper() == wanted and value), None
    )


def _refuse_strangers(path: Path, *, in_data: bool) -> None:
    """Raise where somebody else than who runs the service may have written the file."""
    found = path.stat()
    if found.st_mode & stat.S_IWOTH:
        raise SettingsFileUnusable(f"{path} may be written by everybody: chmod o-w {path}")
    if in_data and found.st_uid not in {0, os.geteuid(), path.parent.stat().st_uid}:
        raise SettingsFileUnusable(
            f"{path} belongs to another user (uid {found.st_uid}) than its folder: chown it, or "
            f"name it in {CONFIG}"
        )


def _refuse_unknown(path: Path, said: Mapping[str, Any], known: set[str], *, in_data: bool) -> None:
    for name in said:
        if name == _OURS_TO_SAY or (in_data and name == "data"):
            raise SettingsFileUnusable(
                f"{path} sets {name}, and cannot say where it lies itself: set "
                f"{PREFIX}{name.upper()}"
            )
        if name not in known:
            near = difflib.get_close_matches(name.lower().removeprefix(PREFIX.lower()), known, n=1)
            hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists them all"
            raise SettingsFileUnusable(f"{path} sets {name}, which is no setting; {hint}")


def _listed(value: Any) -> Any:
    """An array of texts as the environment would write it, separated by spaces."""
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return " ".join(value)
    return value


def _anchored(path: Path, name: str, value: Any) -> Any:
    """A path that the file names, from where the file lies."""
    is_path = name in _PATHS or (name == "encoder" and os.sep in str(value))
    if not is_path or not isinstance(value, str) or not value or value.startswith("~"):
        return value
    return str(path.absolute().parent / value)
