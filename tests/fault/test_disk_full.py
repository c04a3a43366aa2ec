"""A disk that is really full: writes are refused in words, reads go on, and nothing is lost."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from attribution.catalog import Catalog
from tests.fault.pictures import jpeg

SIZE = "6m"
BODIES_HAVE_LIMITS = "body_silence_seconds" in Settings.model_fields


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of a few megabytes at the place of the data folder."""
    place = tmp_path / "data"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system can be mounted by root only, on Linux")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill_up(folder: Path) -> Path:
    """Take all the room there is."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def is_storage_full(response) -> bool:
    if response.status_code != 507:
        return False
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/storage-full"
    return True


def test_a_full_disk_refuses_writes_serves_reads_and_loses_nothing(start, small_disk):
    service = start(small_disk)
    service.wait_until_ready()
    held = {}
    for number in range(5):
        added = service.client.post("/v1/sources", files={"file": jpeg(number)}).json()["source"]
        held[added["source_id"]] = added["title"]
    filler = fill_up(small_disk)

    refused = 0
    for number in range(100, 140):
        response = service.client.post("/v1/sources", files={"file": jpeg(number)})
        if response.status_code == 201:  # there was room in what SQLite holds already
            held[response.json()["source"]["source_id"]] = None
            continue
        assert is_storage_full(response), response.text
        refused += 1
    assert refused
    some = next(iter(held))
    calls = [
        ("PATCH", f"/v1/sources/{some}", {"json": {"title": "x" * 300}}),
        ("PUT", "/v1/collections/art", {"json": {"description": "x" * 300}}),
        ("POST", "/v1/jobs", {"files": {"files": jpeg(1)}}),
    ]
    for method, path, body in calls:
        response = service.client.request(method, path, **body)
        assert response.is_success or is_storage_full(response), (path, response.text)
        if path.endswith(some) and response.is_success:
            held[some] = "x" * 300
    assert is_unharmed(service, held)

    service.kill()
    filler.unlink()
    service.start()
    assert is_unharmed(service, held)
    assert service.client.post("/v1/sources", files={"file": jpeg(500)}).status_code == 201
    with Catalog.open(small_disk) as catalog:
        catalog.compaction.ask()
        catalog.compaction.run()
        assert catalog.checks.unused_previews(seconds=0) == ()


def is_unharmed(service, held) -> bool:
    listed = service.client.get("/v1/sources", params={"limit": 1000}).json()["items"]
    assert {source["source_id"]: source["title"] for source in listed} == held
    for source_id in held:
        assert service.client.get(f"/v1/sources/{source_id}/thumbnail").status_code == 200
    response = service.client.post("/v1/attributions", files={"file": jpeg(3)})
    assert response.status_code == 200, response.text
    return True


@pytest.mark.skipif(not BODIES_HAVE_LIMITS, reason="only the catalog's own full disk is told of")
def test_a_full_disk_of_snapshots_is_told(start, small_disk):
    service = start(small_disk)
    service.wait_until_ready()
    for number in range(5):
        service.client.post("/v1/sources", files={"file": jpeg(number)})
    fill_up(small_disk)
    assert is_storage_full(service.client.post("/v1/index/snapshot"))


LIMITED = """
import resource, signal, sys
from attribution.catalog import Catalog, CatalogError
from tests.attribution.maintenance.conftest import fill

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Catalog.open(sys.argv[1]) as catalog:
    fill(catalog, range(3))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    for number in range(3, 400):
        try:
            fill(catalog, [number])
        except (CatalogError, OSError) as error:
            print(type(error).__name__, len(catalog.sources(limit=1000).items))
            break
"""


def test_a_file_that_may_not_grow_loses_nothing(tmp_path):
    """No root needed: past a size, writing fails in the middle of the log."""
    folder = tmp_path / "data"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder), "400000"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    error, held = done.stdout.split()
    assert error in {"StorageFull", "CatalogUnusable", "OSError"}
    with Catalog.open(folder) as catalog:
        sources = catalog.sources(limit=1000).items
        assert len(sources) == int(held) >= 3
        for source in sources:
            assert catalog.preview(source.source_id)
        assert json.dumps([change.generation for change in catalog.changes(0)]) == json.dumps(
            list(range(1, len(sources) + 1))
        )
