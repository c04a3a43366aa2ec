"""The two caption tables of a few-shot set, as the authors of "Beyond Objects" store them.

`background.tsv` and `pose.tsv` have a header, `image` and `response`, and a line a picture in any
order. Nothing is quoted. A class is the name of the picture's folder, underscores included; a
response ends with a period, which is no part of the caption.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from attribution.files import regular_file, replacing
from attribution.synthesis.context.captioner import Context, Described

BACKGROUND, POSE = "background.tsv", "pose.tsv"
_HEADER = "image\tresponse"


class BadTable(ValueError):
    """A caption table cannot be read or written; the message names file and line."""


def read_tables(folder: Path) -> tuple[Described, ...]:
    """The pictures of both tables, in the order of `background.tsv`.

    The order matters: whoever draws contexts by their number draws from it.

    Raises:
        BadTable: a line without caption, a picture twice, or in one of the tables only.
        OSError: there are no such files.
    """
    backgrounds, poses = _read(folder / BACKGROUND), _read(folder / POSE)
    apart = sorted(set(backgrounds) ^ set(poses))
    if apart:
        raise BadTable(f"{folder}: {apart[0]} is in only one of {BACKGROUND} and {POSE}")
    return tuple(
        Described(image, PurePosixPath(image).parent.name, Context(background, poses[image]))
        for image, background in backgrounds.items()
    )


def write_tables(described: Iterable[Described], folder: Path) -> None:
    """Write both tables, each whole or not at all; `read_tables` reads the same contexts.

    A process killed in between leaves no `pose.tsv`.

    Raises:
        BadTable: a picture twice or not in the folder of its class, or a caption that is empty,
            ends with a period or has a tab or line end in it.
    """
    rows = list(described)
    for row in rows:
        if PurePosixPath(row.image).parent.name != row.class_name:
            raise BadTable(f"{row.image}: must lie in a folder called {row.class_name}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / POSE).unlink(missing_ok=True)  # the last one says that both are of these pictures
    _write(folder / BACKGROUND, [(row.image, row.context.background) for row in rows])
    _write(folder / POSE, [(row.image, row.context.pose) for row in rows])


def _read(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    lines = regular_file(path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines[1:], start=2):
        # A second tab ends the caption, as it does for the authors' own readers.
        cells = line.strip().split("\t")
        caption = cells[1].rstrip(".") if len(cells) > 1 else ""
        if not caption:
            raise BadTable(f"{path}, line {number}: needs a path, a tab and a caption")
        if cells[0] in found:
            raise BadTable(f"{path}, line {number}: {cells[0]} has a caption already")
        found[cells[0]] = caption
    return found


def _write(path: Path, rows: list[tuple[str, str]]) -> None:
    seen: set[str] = set()
    for image, caption in rows:
        if image in seen or not caption or caption != caption.strip().rstrip("."):
            raise BadTable(f"{path}: {image} must have one caption, without a closing period")
        if len(f"{image}{caption}".splitlines()) > 1 or "\t" in image + caption:
            raise BadTable(f"{path}: {image} or its caption has a tab or a line end in it")
        seen.add(image)
    lines = [_HEADER, *(f"{image}\t{caption}." for image, caption in rows)]
    with replacing(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
