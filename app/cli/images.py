"""Images that several commands are given: names kept out, what could not be read, progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.progress import Progress, TaskID

from app.cli.console import warn, warn_of_each
from app.cli.failures import BadInvocation


class ImagesLeftOut:
    """Collects why images were left out; called with a name and the reason.

    Each is told once, however often it is read.
    """

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def __call__(self, name: str, reason: str) -> None:
        """Note an image that cannot be read."""
        self._reasons.setdefault(name, reason)

    def __len__(self) -> int:
        return len(self._reasons)

    def tell(self, consequence: str) -> None:
        """A line for each of the first, and one that counts them and says what follows."""
        warn_of_each([f"left out {name}: {reason}" for name, reason in self._reasons.items()])
        were = "1 image was" if len(self) == 1 else f"{len(self)} images were"
        warn(f"{were} left out: {consequence}")


def names_in(path: Path | None) -> frozenset[str]:
    """The image names of a text file, one a line; none without a file.

    Raises:
        BadInvocation: it is no text.
    """
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise BadInvocation(f"{path}: give a text file of image names, one a line") from error
    return frozenset(line.strip() for line in lines if line.strip())


def background_progress(bar: Progress, total: int) -> Callable[[int], None]:
    """Shows a task for the background once its first rows are made."""
    tasks: list[TaskID] = []

    def show(done: int) -> None:
        if not tasks:
            tasks.append(bar.add_task("Making the background", total=total))
        bar.update(tasks[0], completed=done)

    return show
