"""What a query and a change cost with Milvus and a published null: the input of `load_model.py`.

Works on a copy of a data folder that `attribution ingest` has filled, and times, one after the
other and on all cores of this machine: encoding queries, what Milvus does for them, the rest of
their answers; a batch of changes in Milvus, in the null, its publication, and how long a reader
takes to have that. Medians of several rounds, by size of batch; the lines that `load_model.py`
needs are laid through them.

    python benchmarks/load_costs.py --data var --images photographs/ --out costs.json

Without `--milvus` it is an embedded Milvus in a file, whose times are not those of a server. The
null is followed by an index in memory, which the same changes reach.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from circumstances import circumstances, tell
from load_model import Costs, Line
from PIL import Image
from search_at_size import DEPTH, multiplied
from service_load import make_queries

from attribution.calibration.published import read, written
from attribution.catalog import INDEXER, Catalog, NewSource, Published
from attribution.index import Follower
from attribution.index.milvus import MilvusIndex, open_milvus
from attribution.index.milvus.server import Server
from attribution.opening.gallery import OpenedGallery, gallery_of
from attribution.opening.load import load_vision
from attribution.opening.place import PlainPlace
from attribution.retrieval.fusion import Rows
from attribution.retrieval.retrieval import retrieve

HOLDER = "load_costs"
TOGETHER = (1, 2, 4, 8, 16)
CHANGES = (1, 10, 100, 1000)


class Stopwatch:
    """Seconds spent in some calls since `reset`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, with the clock running."""

        @wraps(call)
        def measured(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - started

        return measured

    def reset(self) -> None:
        """From now on."""
        self.seconds = 0.0


@contextmanager
def watched() -> Iterator[Stopwatch]:
    """Every call of Milvus within the block is timed."""
    watch = Stopwatch()
    with mock.patch.object(Server, "call", watch.timed(Server.call)):
        yield watch


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def add(catalog: Catalog, model_id: str, rows: Rows, first: int) -> None:
    """A source for each row, with names that go on from `first`."""
    with io.BytesIO() as file:
        Image.new("RGB", (8, 8)).save(file, "JPEG")
        preview = file.getvalue()
    for start in range(0, len(rows), 1000):
        some = rows[start : start + 1000]
        digests = [
            hashlib.sha256(f"load costs {first + start + place}".encode()).hexdigest()
            for place in range(len(some))
        ]
        sources = [
            NewSource(
                collection="default",
                sha256=digest,
                width=8,
                height=8,
                format="jpeg",
                embedding=row,
                preview=preview,
            )
            for digest, row in zip(digests, some, strict=True)
        ]
        catalog.add(model_id, sources)


def of_queries(
    gallery: OpenedGallery,
    index: MilvusIndex,
    queries: Sequence[Image.Image],
    watch: Stopwatch,
    rounds: int,
) -> dict[str, dict[int, float]]:
    """Seconds of encoding, of Milvus and of the rest of the answer, by queries together."""
    encoder, fusion = gallery.attributor.encoder, gallery.calibration.reference.fusion
    found: dict[str, dict[int, float]] = {"encode": {}, "search": {}, "finish": {}}
    for count in TOGETHER:
        times = []
        for turn in range(rounds + 1):
            some = [queries[(turn * count + place) % len(queries)] for place in range(count)]
            started = time.perf_counter()
            rows = encoder.encode(some, domain="query")
            encoded = time.perf_counter() - started
            asked = fusion.prepare(rows)
            answer = seconds_of(lambda rows=rows: gallery.attributor.attribute(rows))
            here = seconds_of(lambda asked=asked: retrieve(gallery.index, asked, DEPTH))
            watch.reset()
            there = seconds_of(lambda asked=asked: retrieve(index, asked, DEPTH))
            own = there - watch.seconds + max(0.0, answer - here)
            times.append((encoded, watch.seconds, own))
        medians = np.median(times[1:], axis=0)  # the first is to warm up
        for name, value in zip(found, medians, strict=True):
            found[name][count] = float(value)
    return found


def of_changes(
    gallery: OpenedGallery, index: MilvusIndex, rows: Rows, rounds: int
) -> dict[str, dict[int, float]]:
    """Seconds in Milvus, in the null, of publishing and of reading that, by changes in a batch."""
    catalog, calibration, model_id = gallery.catalog, gallery.calibration, index.model_id
    follower = Follower(catalog, index, model_id)
    found: dict[str, dict[int, float]] = {"apply": {}, "follow": {}, "publish": {}, "read": {}}
    taken = 0

    def publish() -> None:
        null = written(calibration.report(), calibration.reference)
        state = {"calibration": "fresh", "last_id": 0, "lists": 1, "recall_at_10": None}
        new = Published(gallery.index.generation, state, dict(calibration.owner), null)
        if not catalog.published.put(model_id, new, holder=HOLDER):
            raise RuntimeError("the lease has ended")

    def read_it() -> None:
        new = catalog.published.find(model_id)
        if new is None or new.null_arrays is None:
            raise RuntimeError("nothing is published")
        read(new.null_arrays, new.generation)

    for count in CHANGES:
        times = []
        for _ in range(rounds):
            add(catalog, model_id, rows[taken : taken + count], taken)
            taken += count
            work = (follower.catch_up, gallery.follower.catch_up, publish, read_it)
            times.append([seconds_of(each) for each in work])
        for name, value in zip(found, np.median(times, axis=0), strict=True):
            found[name][count] = float(value)
    return found


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All costs, with what was measured."""
    data = folder / "data"
    shutil.copytree(options.data, data, ignore=shutil.ignore_patterns("previews", "*.lock"))
    place = PlainPlace(data)
    vision = load_vision(place)
    queries = [
        Image.open(io.BytesIO(each)).convert("RGB") for each in make_queries(options.images, 64)
    ]
    with Catalog.existing(data) as catalog, watched() as watch:
        gallery = gallery_of(place, catalog, vision)
        gallery.calibration.ensure()
        held = gallery.index.stats().vectors
        url = options.milvus or str(folder / "vectors.db")
        started = time.perf_counter()
        index = open_milvus(catalog, vision.encoder, url)
        filled = time.perf_counter() - started
        asked = of_queries(gallery, index, queries, watch, options.rounds)
        page = catalog.live_embeddings(vision.encoder.model_id, limit=2000)
        wanted = len(page.vectors) + options.rounds * sum(CHANGES)
        made = np.concatenate(list(multiplied(page.vectors, wanted, vision.encoder.parts)))
        catalog.leases.take(INDEXER, HOLDER, 86_400)
        changed = of_changes(gallery, index, made[len(page.vectors) :], options.rounds)
    lines = {
        name: Line.through(list(times), list(times.values()))
        for name, times in {**asked, **changed}.items()
        if name not in ("publish", "read")
    }
    costs = Costs(
        **lines,
        publish=float(np.median(list(changed["publish"].values()))),
        read=float(np.median(list(changed["read"].values()))),
    )
    return {
        "rows": held,
        "milvus": "server" if options.milvus else "embedded",
        "fill_seconds": round(filled, 1),
        "costs": asdict(costs),
        "measured": {**asked, **changed},
    }


def main() -> None:
    """Measure, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="filled by `attribution ingest`")
    parser.add_argument("--images", type=Path, required=True, help="what it was filled with")
    parser.add_argument("--milvus", help="address of a server, whose collections are left behind")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options, Path(folder)) | circumstances("torch", "pymilvus")
    tell(result, options.out)


if __name__ == "__main__":
    main()
