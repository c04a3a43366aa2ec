"""A small data folder, and processes killed at a point."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import attribution.catalog
from attribution.catalog import Catalog
from tests.support.folders import fill, save_index

ROOT = Path(attribution.catalog.__file__).parents[2]


@pytest.fixture
def folder(tmp_path) -> Path:
    """The data folder of twelve sources, closed, with an index snapshot."""
    place = tmp_path / "data"
    with Catalog.open(place) as catalog:
        catalog.put_collection("other")
        fill(catalog, range(12))
    save_index(place)
    return place


_CHILD = """
import importlib, os, signal, sys
from pathlib import Path

point, action, *given = sys.argv[1:]
module, _, name = point.partition(":")
*path, last = name.split(".")
owner = importlib.import_module(module)
for part in path:
    owner = getattr(owner, part)
setattr(owner, last, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))

from attribution.catalog import Catalog
from attribution.maintenance import back_up, erase, restore

folder = Path(given[0])
if action == "takedown":
    with Catalog.open(folder) as catalog:
        catalog.takedowns.take(sha256s=[given[1]], reason="a test")
        erase(catalog, folder, folder / "index")
elif action == "backup":
    with Catalog.open(folder) as catalog:
        back_up(catalog, folder, Path(given[1]))
else:
    restore(Path(given[1]), folder, snapshots=folder / "index", force=True)
"""


@pytest.fixture(scope="session")
def killed_at() -> Callable[..., None]:
    """``killed_at("module:Class.method", "takedown", folder, sha256)``: kill -9 at that call."""

    def run(point: str, action: str, *arguments: object) -> None:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, point, action, *map(str, arguments)],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr

    return run
