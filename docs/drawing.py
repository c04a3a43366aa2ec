"""Draws the house into `architecture.md` from the imports of the code: `make drawing`.

Between the marks of each package stand a Mermaid drawing of its rooms, with an arrow for each
import that no longer way replaces, and a table of what each room says of itself.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import grimp

DOCS = Path(__file__).parent
PAGE = DOCS / "architecture.md"
PACKAGES = ("app", "attribution", "models")

Arrows = Mapping[str, frozenset[str]]


def arrows_of(package: str) -> dict[str, frozenset[str]]:
    """For each room of a package, the rooms beside it that it imports; type-only imports count."""
    graph = grimp.build_graph(package)
    rooms = graph.find_children(package)
    for room in rooms:
        graph.squash_module(room)
    return {
        room.rpartition(".")[2]: frozenset(
            other.rpartition(".")[2]
            for other in graph.find_modules_directly_imported_by(room) & rooms - {room}
        )
        for room in sorted(rooms)
    }


def reduced(arrows: Arrows) -> dict[str, frozenset[str]]:
    """Without the arrows that a longer way replaces; there are no circles."""
    below = {room: _reached(arrows, room) for room in arrows}
    return {
        room: frozenset(
            each for each in direct if not any(each in below[other] for other in direct)
        )
        for room, direct in arrows.items()
    }


def _reached(arrows: Arrows, room: str) -> frozenset[str]:
    """All rooms below one, itself left out."""
    found: set[str] = set()
    waiting = list(arrows[room])
    while waiting:
        if (each := waiting.pop()) not in found:
            found.add(each)
            waiting.extend(arrows[each])
    return frozenset(found)


def drawing(package: str) -> str:
    """The Markdown of one package: the drawing, then its rooms in the words of their docstrings."""
    arrows = reduced(arrows_of(package))
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"  {package}_{room}[{room}]" for room in arrows]
    lines += [
        f"  {package}_{room} --> {package}_{other}"
        for room, others in arrows.items()
        for other in sorted(others)
    ]
    lines += ["```", "", f"| in `{package}` | is | and holds |", "|---|---|---|"]
    lines += [f"| `{room}` | {says(package, room)} | {holds(package, room)} |" for room in arrows]
    return "\n".join(lines)


def says(package: str, room: str) -> str:
    """The first sentence of a room's docstring."""
    place = DOCS.parent / package / room
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(source.read_text())) or ""
    return docstring.splitlines()[0].replace("|", "\\|")


def holds(package: str, room: str) -> str:
    """The modules and rooms inside, by name."""
    place = DOCS.parent / package / room
    inside = [path for path in place.glob("*") if path.suffix == ".py" or _is_room(path)]
    names = sorted(path.stem for path in inside if path.name != "__init__.py")
    return ", ".join(names)


def _is_room(path: Path) -> bool:
    return (path / "__init__.py").is_file()


def drawn(page: str) -> str:
    """The page with every drawing as the code is now.

    Raises:
        ValueError: the marks of a package are missing.
    """
    for package in PACKAGES:
        begin, end = f"<!-- drawing of {package} -->", f"<!-- end of {package} -->"
        if begin not in page or end not in page:
            raise ValueError(f"{PAGE.name} lacks the marks {begin} and {end}")
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n\n{drawing(package)}\n\n{end}{rest.partition(end)[2]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
