"""A small data folder, and processes killed at a point."""

import importlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from attribution.catalog import Catalog
from attribution.maintenance import back_up, erase, restore
from tests.support.folders import fill, save_index
from tests.support.forks import Fork


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The data folder of twelve sources, closed, with an index snapshot; only read."""
    place = tmp_path_factory.mktemp("made") / "data"
    with Catalog.open(place) as catalog:
        catalog.put_collection("other")
        fill(catalog, range(12))
    save_index(place)
    return place


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """A copy of `made`, as new as if it had been made for this test."""
    return shutil.copytree(made, tmp_path / "data", copy_function=shutil.copy)


def act_and_die(point: str, action: str, folder: Path, *rest: str) -> None:
    """Do it with a death in the place of one function."""
    module, _, name = point.partition(":")
    *path, last = name.split(".")
    owner = importlib.import_module(module)
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, last, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    if action == "restore":
        restore(Path(rest[0]), folder, snapshots=folder / "index", force=True)
        return
    with Catalog.open(folder) as catalog:
        if action == "takedown":
            catalog.takedowns.take(sha256s=[rest[0]], reason="a test")
            erase(catalog, folder, folder / "index")
        else:
            back_up(catalog, folder, Path(rest[0]))


@pytest.fixture(scope="session")
def killed_at() -> Callable[..., None]:
    """``killed_at("module:Class.method", "takedown", folder, sha256)``: kill -9 at that call."""

    def run(point: str, action: str, folder: Path, *rest: object) -> None:
        with Fork(act_and_die, point, action, folder, *map(str, rest)) as process:
            _, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, err

    return run
