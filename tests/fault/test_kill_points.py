"""Every write path, killed before every moment at which it changes what is on disk.

Before its commit nothing has happened, after it everything; the folder is sound either way, doing
it again comes to the same end, and nothing is left lying about.
"""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attribution.catalog import Catalog, Ended, NewItem, NewJob, NewSource, RegisteredEncoder
from attribution.index import open_index, save_snapshot
from attribution.maintenance import erase, verify
from tests.fault.kill_points import left_at_every_point
from tests.support.folders import (
    PixelEncoder,
    fill,
    preview_of,
    save_index,
    sha256_of,
)

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names descriptors by /proc"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]


@dataclass(frozen=True)
class Held:
    """A folder with a bit of everything in it, closed."""

    folder: Path
    key_id: str
    running: str
    finished: str
    untouched: str


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> Held:
    folder = tmp_path_factory.mktemp("held") / "data"
    with Catalog.open(folder) as catalog:
        catalog.put_collection("other")
        fill(catalog, range(3))
        fill(catalog, [3], collection="other")
        catalog.encoders.register(RegisteredEncoder("next", "/next", None))
        rows = {source.vector_id: np.ones(8, np.float32) for source in catalog.sources().items}
        catalog.encoders.fill("next", rows)
        key_id = catalog.keys.create("one", scopes=["query"]).key.key_id
        jobs = [_new_job(catalog, images=2) for _ in range(3)]
        for job_id, results in ((jobs[0], 1), (jobs[1], 2)):
            claimed = catalog.jobs.claim(1)
            assert claimed is not None
            job = catalog.jobs.find(job_id)
            ended = [Ended(position, {"problem": {}}, failed=True) for position in range(results)]
            catalog.jobs.complete(job, ended)
    save_index(folder)
    return Held(folder, key_id, *jobs)


def _new_job(catalog: Catalog, images: int = 1) -> str:
    incoming = catalog.jobs.receive()
    try:
        for position in range(images):
            with incoming.path(position).open("xb") as file:
                file.write(preview_of(position))
        items = [NewItem(f"{position}.jpg", 100) for position in range(images)]
        new = NewJob(parameters={}, items=items, idempotency_key=None)
        return catalog.jobs.create(incoming, new, most_active=100).job.job_id
    finally:
        incoming.close()


def _first(catalog: Catalog) -> str:
    return catalog.sources().items[0].source_id


def _second_encoder(catalog: Catalog) -> None:
    new = NewSource(
        collection="default", sha256=sha256_of(0), width=160, height=120, format="jpeg",
        embedding=np.ones(8, np.float32), preview=preview_of(0),
    )  # fmt: skip
    catalog.add("another", [new])


def _claim_and_complete(catalog: Catalog) -> None:
    claimed = catalog.jobs.claim(8)
    assert claimed is not None
    ended = [Ended(item.position, {"problem": {}}, failed=True) for item in claimed.items]
    catalog.jobs.complete(claimed.job, ended)


def _snapshot(catalog: Catalog, folder: Path) -> None:
    save_snapshot(open_index(catalog, PixelEncoder(), folder / "index"), folder / "index")


Action = Callable[[Catalog, Held, Path], Any]
ACTIONS: dict[str, Action] = {
    "add several": lambda catalog, *_: _several(catalog),
    "add the same bytes elsewhere": lambda catalog, *_: fill(catalog, [0], collection="other"),
    "add rows of a second encoder": lambda catalog, *_: _second_encoder(catalog),
    "change": lambda catalog, *_: catalog.update(_first(catalog), {"title": "t", "uri": "u"}),
    "delete": lambda catalog, *_: catalog.delete(sha256s=[sha256_of(0), sha256_of(1)]),
    "delete collection": lambda catalog, *_: catalog.delete_collection("other"),
    "make collection": lambda catalog, *_: catalog.put_collection("third", "made"),
    "take down": lambda catalog, *_: catalog.takedowns.take(
        sha256s=[sha256_of(2)], reason="a test"
    ),
    "erase": lambda catalog, _, folder: erase(catalog, folder, folder / "index"),
    "save index": lambda catalog, _, folder: _snapshot(catalog, folder),
    "change encoder": lambda catalog, *_: catalog.encoders.activate("next"),
    "make key": lambda catalog, *_: catalog.keys.create("two", scopes=["curate"]),
    "revoke key": lambda catalog, held, _: catalog.keys.revoke(held.key_id),
    "make job": lambda catalog, *_: _new_job(catalog, images=2),
    "work on job": lambda catalog, *_: _claim_and_complete(catalog),
    "cancel job": lambda catalog, held, _: catalog.jobs.cancel(held.untouched),
    "delete job": lambda catalog, held, _: catalog.jobs.delete(held.running),
    "purge jobs": lambda catalog, *_: catalog.jobs.purge(
        ended_before=datetime.now(UTC) + timedelta(days=1)
    ),
}


def _several(catalog: Catalog) -> None:
    news = [
        NewSource(
            collection="default", sha256=sha256_of(number), width=160, height=120, format="jpeg",
            embedding=np.full(24, 1 / np.sqrt(12), np.float32), preview=preview_of(number),
        )
        for number in (20, 21, 0)
    ]  # fmt: skip
    catalog.add("pixels", news)


def state(catalog: Catalog, folder: Path) -> dict[str, Any]:
    """All that anybody can learn of a catalog, without ids and times."""
    catalog.jobs.sweep()
    sources = [
        (source.collection, source.sha256, source.title, source.uri, source.revision,
         len(catalog.preview(source.source_id)))
        for source in catalog.sources(limit=1000).items
    ]  # fmt: skip
    jobs = [path for path in (folder / "jobs").iterdir() if path.is_dir()]
    return {
        "sources": sorted(sources, key=str),
        "rows": {model: len(catalog.live_embeddings(model)) for model in catalog.models()},
        "collections": [(item.name, item.description) for item in catalog.collections()],
        "generation": catalog.generation(),
        "encoder": catalog.encoders.registry().active,
        "keys": [(key.name, key.state) for key in catalog.keys.every()],
        "takedowns": [(item.sha256, item.reason) for item in catalog.takedowns.every()],
        "active jobs": catalog.jobs.count_active(),
        "inputs": sorted(len(list(job.iterdir())) for job in jobs),
    }


def state_of(folder: Path) -> dict[str, Any]:
    with Catalog.open(folder) as catalog:
        return state(catalog, folder)


@pytest.mark.parametrize("name", ACTIONS)
def test_killed_at_every_point_it_has_happened_or_not(held, tmp_path, name):
    action = ACTIONS[name]
    whole = tmp_path / "whole"
    shutil.copytree(held.folder, whole)

    def prepare():
        catalog = Catalog.open(whole)
        return lambda: action(catalog, held, whole)

    killed = left_at_every_point(whole, tmp_path / "killed", prepare)
    points = [point for left in killed for point in left.points]
    assert points[-1] == "acknowledge"
    before, after = state_of(held.folder), state_of(whole)
    outcomes = []
    for left in killed:
        told = f"killed before {left.points} of {points}"
        with Catalog.open(left.folder) as catalog:
            seen = state(catalog, left.folder)
            assert seen in (before, after), told
            outcomes.append(seen == after)
            if seen == before:  # doing it again comes to the same end
                action(catalog, held, left.folder)
                assert state(catalog, left.folder) == after, told
            erase(catalog, left.folder, left.folder / "index")
        found = verify(left.folder, lambda _: PixelEncoder(), snapshots=left.folder / "index")
        assert found.findings == (), told
        assert left_over(left.folder, whole) == [], told
        shutil.rmtree(left.folder)
    assert outcomes == sorted(outcomes), "what has happened stays so"
    assert outcomes[-1], "what is about to be acknowledged has happened"


def left_over(folder: Path, whole: Path) -> list[Path]:
    """Files beyond those that are there when nobody is killed.

    An unfinished preview, whose name begins with a dot, may be of an addition under way. It is left
    for `verify`, which finds it an hour later, and for the end of its source.
    """
    kinds = [
        {path.relative_to(place).parts[0] for path in place.rglob("*") if path.is_file()}
        for place in (folder, whole)
    ]
    pictures = [
        {path.name for path in place.glob("previews/*/*") if not path.name.startswith(".")}
        for place in (folder, whole)
    ]
    unfinished = list(folder.glob("index/*.partial"))
    kinds[1].add("service.lock")  # of whoever erased
    return [*sorted(kinds[0] - kinds[1]), *sorted(pictures[0] - pictures[1]), *unfinished]
