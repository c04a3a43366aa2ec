"""A writer killed at any moment has lost nothing that it acknowledged, and duplicated nothing."""

import hashlib
import itertools
import random
import time

import numpy as np

from attribution.catalog import Catalog, NewSource
from tests.support.forks import Fork

CYCLES = 3


def write_for_ever(folder):
    catalog = Catalog.open(folder)
    print("ready", flush=True)
    for number in itertools.count():
        source = NewSource(
            collection="default",
            sha256=hashlib.sha256(b"image %d" % number).hexdigest(),
            width=640,
            height=480,
            format="jpeg",
            embedding=np.array([number, 0.5], dtype=np.float32),
            preview=b"\xff\xd8\xff preview %d" % number,
        )
        print(catalog.add("m1", [source]).items[0].source.source_id, flush=True)


def write_until_killed(folder, *, acknowledged, pause):
    """Kill the writer a moment after so many acknowledgements; return all that it gave."""
    with Fork(write_for_ever, folder) as process:
        assert process.stdout.readline() == "ready\n"
        lines = [process.stdout.readline() for _ in range(acknowledged)]
        time.sleep(pause)
        process.kill()
        lines += process.stdout.readlines()
    # What lacks its line break was not acknowledged in full.
    return [line.strip() for line in lines if line.endswith("\n")]


def test_kill_at_random_moments(tmp_path):
    moments = random.Random(7)
    acknowledged: set[str] = set()
    for _ in range(CYCLES):
        # Each writer starts over: what the one before it added is found, not added again.
        given = write_until_killed(
            tmp_path, acknowledged=moments.randint(5, 30), pause=moments.uniform(0, 0.01)
        )
        acknowledged.update(given)
        with Catalog.open(tmp_path) as catalog:
            check(catalog, acknowledged)


def check(catalog, acknowledged):
    found = catalog.sources(limit=1000)
    assert found.next_cursor is None
    ids = [source.source_id for source in found.items]
    assert acknowledged <= set(ids)
    # A kill between commit and acknowledgement leaves at most one source more, once.
    assert len(ids) == len({source.sha256 for source in found.items})
    assert len(ids) - len(acknowledged) <= CYCLES
    rows = catalog.embeddings("m1", [source.vector_id for source in found.items])
    assert rows.shape == (len(ids), 2)
    for source in found.items:
        assert catalog.preview(source.source_id).startswith(b"\xff\xd8\xff preview")
    changes = catalog.changes(0)
    assert [change.vector_id for change in changes] == [s.vector_id for s in found.items]
    assert [change.generation for change in changes] == list(range(1, len(ids) + 1))
    assert len(catalog.checks.unused_previews(seconds=0)) <= 2 * CYCLES
