"""Processes without the rights of root, as which tests may run and which may write everything."""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from tests.support.forks import Fork

NOBODY = 65534
_CAPABILITIES = 0x20080522  # version 3 of the header
_OVERRIDES = 1 << 1 | 1 << 2 | 1 << 3  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER


def as_ordinary_user(target: Callable[..., object], *arguments: object, **environment: str) -> Fork:
    """`target(*arguments)` as a process of its own, to which permissions of files apply."""
    return Fork(_without_overrides, target, arguments, **environment)


def take_away(folder: Path, *, reading: bool) -> None:
    """Make a folder somebody else's, who lets others read in it, or not even that."""
    for path in [*folder.rglob("*"), folder]:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(0o555 if path.is_dir() else 0o444)
    if reading:
        folder.chmod(0o000)


def give_back(folder: Path) -> None:
    """Undo `take_away`, so that the folder can be removed."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _without_overrides(target: Callable[..., object], arguments: tuple[object, ...]) -> None:
    if os.geteuid() == 0:
        _drop(_OVERRIDES)
    target(*arguments)


def _drop(capabilities: int) -> None:
    """Take capabilities from this thread, the only one, for good: see capset(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0)
    # Effective, permitted and inheritable, of the first 32 capabilities and of the others.
    sets = (ctypes.c_uint32 * 6)()
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    for place in range(3):
        sets[place] &= ~capabilities
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")
