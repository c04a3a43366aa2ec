"""Where the service lies behind a proxy: the prefix of its paths; knows no route.

The prefix of the request under way is kept for that request alone, so that whatever writes an
address into an answer need not be handed it.
"""

from __future__ import annotations

import re
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_present: ContextVar[str] = ContextVar("prefix", default="")


def clean_prefix(value: str) -> str:
    """A prefix such as `/images`, without a slash at its end; empty for none.

    Raises:
        ValueError: it is no path that may stand in an address, such as `//elsewhere.example`.
    """
    prefix = value.strip().removesuffix("/")
    if not prefix:
        return ""
    if not _PREFIX.fullmatch(prefix) or {".", ".."} & {*prefix.split("/")}:
        raise ValueError(f"{value!r} is no prefix of paths: write one such as /images")
    return prefix


def enter(prefix: str) -> Token[str]:
    """From here on the request under way has this prefix; the token ends that."""
    return _present.set(prefix)


def leave(token: Token[str]) -> None:
    """The request has been answered."""
    _present.reset(token)


def present_prefix() -> str:
    """The prefix of the request under way; empty where there is none."""
    return _present.get()


def address(path: str) -> str:
    """A path of this service as whoever sent the present request can ask for it."""
    return _present.get() + path


def path_within(scope: Scope) -> str:
    """The path of a request as the routes spell it, whatever lies in front."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    within = path.removeprefix(prefix)
    return within if prefix and within.startswith("/") else path
