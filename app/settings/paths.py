"""Paths as people write them where no shell has been: `~` is the home folder. Opens nothing."""

from __future__ import annotations

from pathlib import Path


def at_home(text: str) -> Path:
    """The path that a text means, with the home folder in the place of a `~` in front.

    Raises:
        ValueError: it names a user that there is not, and no file is called so, as those are that
            editors leave beside a document.
    """
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError as error:
        if path.exists():
            return path
        raise ValueError(f"there is no home folder for {text}") from error
