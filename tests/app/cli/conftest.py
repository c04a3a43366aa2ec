"""The command line, and pictures for it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pictures import draw
from tests.support.terminal import Finished, call, start


@pytest.fixture(scope="session")
def attribution() -> Callable[..., Finished]:
    return call


@pytest.fixture(scope="session")
def launch() -> Callable[..., subprocess.Popen[str]]:
    return start


@pytest.fixture(scope="session")
def draw_pictures() -> Callable[[Path, range], Path]:
    return draw


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of six pictures and one file that is none."""
    folder = draw(tmp_path / "pictures", range(6))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    return folder


@pytest.fixture(scope="session")
def held(tmp_path_factory) -> Path:
    """Data folder of a catalog with twelve pictures in two collections; read it, do not write."""
    folder = tmp_path_factory.mktemp("held")
    draw(folder, range(12))
    names = ["plain", "[/b] :cat: [red]loud", "été"]
    rows = [
        {
            "path": f"{seed:03d}.jpg",
            "title": names[seed % 3],
            "uri": f"picture:{seed}",
            "collection": "even" if seed % 2 == 0 else "odd",
        }
        for seed in range(12)
    ]
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = call("ingest", manifest, "--data", folder / "data")
    assert done.code == 0, done.err
    return folder / "data"
