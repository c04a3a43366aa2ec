"""Grids and the pictures of a whole evaluation, checked by their pixels."""

from dataclasses import replace

import pytest
from PIL import Image

from attribution.evaluation.benchmark.cases import Benchmark, Case, Truth, file_picture
from attribution.evaluation.pictures.canvas import WRITTEN
from attribution.evaluation.pictures.grid import (
    BREAK,
    CELL,
    GAP,
    QUERY,
    RIGHT,
    TOP,
    GridCell,
    GridRow,
    grid_picture,
)
from attribution.evaluation.pictures.rank_pictures import write_pictures
from attribution.evaluation.ranks.methods import Method
from attribution.evaluation.ranks.protocol import evaluate

COLOURS = {"red": (200, 0, 0), "grey": (120, 120, 120), "violet": (120, 0, 160)}


def cell(name, right=False):
    return GridCell(Image.new("RGB", (40, 40), COLOURS[name]), name, right)


def pixel(path, column, truths, x, y):
    """A pixel at a place (in units) of a cell of the first row."""
    breaks = (column >= 1) + (column >= 1 + truths)
    left = 2 * GAP + column * (CELL + GAP) + breaks * BREAK
    with Image.open(path) as image:
        return image.convert("RGB").getpixel((WRITTEN * (left + x), WRITTEN * (TOP + y)))


def test_a_grid_shows_every_image_and_frames_the_query_and_what_is_right(tmp_path):
    path = tmp_path / "grid.png"
    row = GridRow(cell("grey"), [cell("red")], [cell("violet"), cell("red", right=True)])
    grid_picture([row, row], path)
    middle = CELL // 2
    names = ["grey", "red", "violet", "red"]
    shown = [pixel(path, column, 1, middle, middle) for column in range(4)]
    assert shown == [COLOURS[name] for name in names]
    frames = [pixel(path, column, 1, -2, middle) for column in range(4)]
    assert frames == [QUERY, (255, 255, 255), (255, 255, 255), RIGHT]
    assert pixel(path, 3, 1, CELL - 2, 1) != COLOURS["red"]  # the tick


def test_rows_of_other_lengths_and_shapes_fit(tmp_path):
    wide = GridCell(Image.new("L", (300, 30), 90), "a caption far too long for so small an image")
    rows = [
        GridRow(wide, [cell("red")], [cell("grey")]),
        GridRow(cell("red"), [cell("red"), wide], [wide] * 5),
    ]
    grid_picture(rows, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as image:
        assert image.width == WRITTEN * (2 * GAP + 7 * (CELL + GAP) + 2 * BREAK + CELL + 2 * GAP)
    with pytest.raises(ValueError, match="one row"):
        grid_picture([], tmp_path / "grid.png")


@pytest.fixture
def benchmark(tmp_path, draw):
    sources = [file_picture(f"images/s{n}.png", draw(tmp_path / f"s{n}.png", n)) for n in range(4)]
    cases = [
        Case(tmp_path / f"s{n}.png", (Truth(f"images/s{n}.png", "content"),), name)
        for n, name in enumerate(["two words", "other", "two words", "other"])
    ]
    return Benchmark("made", tuple(cases), tuple(sources))


def file_names(*sets, condition):
    kinds = ("precision-recall", "recall", "found")
    return sorted(f"{kind}-{name}-{condition}.png" for kind in kinds for name in sets)


def test_an_evaluation_is_drawn_for_every_set(tmp_path, benchmark, describer, scorer):
    folder = tmp_path / "new" / "pictures"
    evaluation = evaluate(benchmark, [Method("near", describer, scorer)])
    written = write_pictures(evaluation, benchmark, folder)
    names = file_names("two-words", "other", condition="clean")
    assert sorted(path.name for path in written) == names
    assert sorted(path.name for path in folder.iterdir()) == names
    assert pixel(folder / "found-other-clean.png", 2, 1, -2, CELL // 2) == RIGHT


def test_the_rankings_of_the_first_method_are_shown(tmp_path, benchmark, describer, scorer):
    methods = [Method("far", describer, lambda *a: -scorer(*a)), Method("near", describer, scorer)]
    one_set = replace(benchmark, cases=benchmark.cases[1::2])
    evaluation = evaluate(one_set, methods, conditions=("laundered",))
    written = write_pictures(evaluation, one_set, tmp_path / "drawn")
    assert sorted(path.name for path in written) == file_names("other", condition="laundered")
    found = tmp_path / "drawn" / "found-other-laundered.png"
    assert pixel(found, 2, 1, -2, CELL // 2) == (255, 255, 255)
    with pytest.raises(KeyError):
        evaluation.ranking("absent", "laundered")
