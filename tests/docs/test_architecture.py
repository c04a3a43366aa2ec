"""`docs/architecture.md` shows the house as it is: drawn from the imports, every place there."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def drawing():
    spec = importlib.util.spec_from_file_location("drawing", ROOT / "docs" / "drawing.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawing_is_that_of_the_imports(drawing):
    page = PAGE.read_text()
    assert drawing.drawn(page) == page, "run `make drawing`"


def test_every_module_and_folder_it_names_is_there():
    named = re.findall(r"`((?:app|attribution|models|tests|docs)/[\w/.]+)`", PAGE.read_text())
    missing = [name for name in named if "NAME" not in name and not (ROOT / name).exists()]
    assert len(named) > 20
    assert not missing


def test_every_floor_of_the_contract_is_described():
    project = (ROOT / "pyproject.toml").read_text()
    floors = project.partition('containers = ["app"]')[2].partition("]")[0]
    rooms = re.findall(r"[a-z_]+", floors.partition("layers")[2])
    prose = PAGE.read_text().partition("## The trip")[0]
    assert rooms
    assert [room for room in rooms if f"`{room}`" not in prose] == []


@pytest.mark.parametrize(
    ("arrows", "left"),
    [
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, {"a": {"b"}, "b": {"c"}, "c": set()}),
        ({"a": {"b", "c"}, "b": set(), "c": set()}, {"a": {"b", "c"}, "b": set(), "c": set()}),
        (
            {"a": {"b", "d"}, "b": {"c"}, "c": {"d"}, "d": set()},
            {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()},
        ),
    ],
)
def test_an_arrow_that_a_longer_way_replaces_is_left_out(drawing, arrows, left):
    found = drawing.reduced({room: frozenset(others) for room, others in arrows.items()})
    assert {room: set(others) for room, others in found.items()} == left


def test_a_page_without_marks_is_refused(drawing):
    with pytest.raises(ValueError, match="lacks the marks"):
        drawing.drawn("# nothing here")
