"""What README and docs/examples show of Python runs as it is written."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from attribution.catalog import Catalog
from attribution.catalog.records import RegisteredEncoder
from tests.support.encoders import make_encoder
from tests.support.pictures import draw, variation

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> RegisteredEncoder:
    folder = tmp_path_factory.mktemp("encoder") / "small"
    return RegisteredEncoder(make_encoder(folder, 1), str(folder), None)


@pytest.fixture
def here(tmp_path, monkeypatch, encoder) -> Path:
    """A working folder with photographs, an image, and a data folder with a small encoder."""
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "photographs", range(4))
    (tmp_path / "suspicious.jpg").write_bytes(variation(2))
    with Catalog.open(tmp_path / "data") as catalog:
        catalog.encoders.register(encoder)
        catalog.encoders.activate(encoder.model_id)
    return tmp_path


def test_the_ten_lines_of_the_readme_run(here, capsys):
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    exec(compile(code, "README.md", "exec"), {})
    first, *ranked, last = capsys.readouterr().out.splitlines()
    assert first.split()[0] in {"attributed", "no_source_found"}
    assert ranked[0].startswith("1 photographs/002.jpg ")
    assert len(ranked) == 3
    assert last == "4 sources are held"
    assert (here / "regions.png").stat().st_size > 0


def test_the_example_runs(here, capsys, monkeypatch):
    (here / "photographs" / "broken.jpg").write_bytes(b"no picture")
    monkeypatch.setattr(sys, "argv", ["gallery.py", "photographs", "suspicious.jpg"])
    runpy.run_path(str(ROOT / "docs" / "examples" / "gallery.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["4 added, 0 held before, 1 skipped", "5 sources are held"]
    assert lines[3].startswith("  1. photographs/002.jpg: share ")
    assert "resembles source 1 most" in "\n".join(lines)
    assert lines[-5:-1] == [f"{seed:03d}.jpg: attributed" for seed in range(4)]
    assert lines[-1].startswith("broken.jpg: This is not a JPEG")
