"""Several writers at once: threads of one process, and processes on one folder."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from attribution.catalog import Catalog, NewSource
from tests.support.catalogs import only_sqlite
from tests.support.forks import Fork


def write(folder, url, start, stop):
    with Catalog.open(folder, url=url) as catalog:
        for number in range(start, stop):
            source = NewSource(
                collection="default",
                sha256=hashlib.sha256(b"image %d" % number).hexdigest(),
                width=640,
                height=480,
                format="jpeg",
                embedding=np.array([number, 0.5, -1.0], dtype=np.float32),
                preview=b"\xff\xd8\xff preview %d" % number,
            )
            batch = catalog.add("m1", [source])
            item = batch.items[0]
            print(item.source.source_id, batch.generation, item.created)


def writers(folder, url, *ranges):
    started = [Fork(write, folder, url, start, stop) for start, stop in ranges]
    results = []
    for process in started:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        results.append([line.split() for line in output.splitlines()])
    return results


def test_eight_threads_lose_nothing_and_share_no_number(catalog, url, make_source):
    each = 10 if url is None else 3

    def write(thread):
        return [
            catalog.add("m1", [make_source(thread * 100 + number)]).generation
            for number in range(each)
        ]

    with ThreadPoolExecutor(8) as pool:
        generations = list(pool.map(write, range(8)))
    assert all(numbers == sorted(numbers) for numbers in generations)
    assert sorted(number for numbers in generations for number in numbers) == list(
        range(1, 8 * each + 1)
    )
    changes = catalog.changes(0)
    assert [change.generation for change in changes] == list(range(1, 8 * each + 1))
    assert [change.vector_id for change in changes] == list(range(1, 8 * each + 1))
    assert {source.uri for source in catalog.sources(limit=100).items} == {
        f"photos/{thread * 100 + number}.jpg" for thread in range(8) for number in range(each)
    }


def test_threads_racing_with_the_same_bytes_make_one_source(catalog, make_source):
    together = threading.Barrier(8)

    def write(_):
        together.wait()
        return catalog.add("m1", [make_source(1)]).items[0]

    with ThreadPoolExecutor(8) as pool:
        items = list(pool.map(write, range(8)))
    assert sum(item.created for item in items) == 1
    assert len({item.source.source_id for item in items}) == 1


def test_adding_and_deleting_one_preview_never_loses_it(catalog, url, make_source):
    """Sources that share a preview: a deletion may not take away what an addition relies on."""
    shared = b"\xff\xd8\xff shared"

    def churn(thread):
        for number in range(10 if url is None else 3):
            new = make_source(thread * 100 + number, preview=shared)
            source = catalog.add("m1", [new]).items[0].source
            assert catalog.preview(source.source_id) == shared
            catalog.delete(source_ids=[source.source_id])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, range(4)))
    assert catalog.checks.unused_previews(seconds=0) == ()


@only_sqlite
def test_two_processes_open_a_new_catalog_and_add_in_part_the_same(tmp_path, url):
    one, two = writers(tmp_path / "data", url, (0, 15), (5, 20))
    assert [line[0] for line in one[5:]] == [line[0] for line in two[:10]]
    assert sum(line[2] == "True" for line in one + two) == 20
    with Catalog.open(tmp_path / "data", url=url) as catalog:
        assert len(catalog.sources().items) == 20
        assert [change.generation for change in catalog.changes(0)] == list(range(1, 21))


def test_threads_may_open_the_same_new_folder(tmp_path, url):
    together = threading.Barrier(6)

    def opened(_):
        together.wait()
        with Catalog.open(tmp_path / "data", url=url) as catalog:
            return catalog.epoch

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(opened, range(6)))) == 1
