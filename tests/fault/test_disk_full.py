"""A disk that is really full: writes are refused in words, reads go on, and nothing is lost."""

import json
import resource
import signal
import tempfile

import pytest

from app.settings import Settings
from attribution.catalog import Catalog, CatalogError
from tests.support.disks import fill, small_disk
from tests.support.encoders import background_of, thumbnail_encoder
from tests.support.folders import fill as fill_catalog
from tests.support.forks import Fork
from tests.support.pictures import jpeg, picture, png, small_jpeg, variation
from tests.support.service import serving
from tests.support.waiting import PATIENCE


@pytest.fixture
def disk(tmp_path):
    """A file system of a few megabytes at the place of the data folder."""
    with small_disk(tmp_path / "data", 6 << 20) as place:
        yield place


@pytest.fixture
def large_disk(tmp_path):
    """Room for an upload that does not fit into memory."""
    with small_disk(tmp_path / "disk", 24_000_000) as place:
        yield place


def is_storage_full(response) -> bool:
    if response.status_code != 507:
        return False
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/storage-full"
    return True


def test_a_full_disk_refuses_writes_serves_reads_and_loses_nothing(start, disk):
    service = start(disk)
    service.wait_until_ready()
    held = {}
    for number in range(5):
        response = service.client.post("/v1/sources", files={"file": small_jpeg(number)})
        added = response.json()["source"]
        held[added["source_id"]] = added["title"]
    filler = fill(disk)

    refused = 0
    for number in range(100, 140):
        response = service.client.post("/v1/sources", files={"file": small_jpeg(number)})
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
        ("POST", "/v1/jobs", {"files": {"files": small_jpeg(1)}}),
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
    assert service.client.post("/v1/sources", files={"file": small_jpeg(500)}).status_code == 201
    with Catalog.open(disk) as catalog:
        catalog.compaction.ask()
        catalog.compaction.run()
        assert catalog.checks.unused_previews(seconds=0) == ()


def is_unharmed(service, held) -> bool:
    listed = service.client.get("/v1/sources", params={"limit": 1000}).json()["items"]
    assert {source["source_id"]: source["title"] for source in listed} == held
    for source_id in held:
        assert service.client.get(f"/v1/sources/{source_id}/thumbnail").status_code == 200
    response = service.client.post("/v1/attributions", files={"file": small_jpeg(3)})
    assert response.status_code == 200, response.text
    return True


def test_a_full_disk_of_snapshots_is_told(start, disk):
    service = start(disk)
    service.wait_until_ready()
    for number in range(5):
        service.client.post("/v1/sources", files={"file": small_jpeg(number)})
    fill(disk)
    assert is_storage_full(service.client.post("/v1/index/snapshot"))


def test_every_write_is_507_every_read_works_and_nothing_is_half_written(large_disk, monkeypatch):
    spool = large_disk / "spool"
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    large = png(picture(9, size=(2400, 1600)).effect_spread(40))
    assert len(large) > 2_000_000, "beyond what an upload may hold in memory"
    settings = Settings(data=large_disk / "data", inference_threads=1)
    encoder = thumbnail_encoder()
    background = background_of(encoder)
    with serving(settings, encoder, background) as served:
        kept = served.add(1)
        before = served.client.get("/v1/sources").json()
        filler = fill(large_disk)
        client = served.client
        # More than one write, for the log may have a little room yet.
        added = [
            client.post("/v1/sources", files={"file": jpeg(picture(seed))}) for seed in (2, 3, 4)
        ]
        assert all(is_storage_full(response) for response in added), [item.text for item in added]
        batch = client.post("/v1/sources/batch", files=[("files", ("5.jpg", jpeg(picture(5))))])
        assert is_storage_full(batch)
        assert is_storage_full(client.post("/v1/jobs", files={"files": ("a.jpg", variation(1))}))
        assert is_storage_full(client.post("/v1/index/snapshot"))
        assert is_storage_full(client.post("/v1/attributions", files={"file": large}))

        assert client.get("/v1/sources").json() == before
        assert client.get("/v1/collections").status_code == 200
        assert served.ask(variation(1))["sources"][0]["uri"] == "1.jpg"
        thumbnail = client.get(f"/v1/sources/{kept['source']['source_id']}/thumbnail")
        assert thumbnail.status_code == 200
        assert client.get("/metrics").status_code == 200

        filler.unlink()
        for seed in (2, 3, 4):
            served.add(seed)
        assert client.post("/v1/index/snapshot").status_code == 200
        assert client.post("/v1/attributions", files={"file": large}).status_code == 200
        job = client.post("/v1/jobs", files={"files": ("a.jpg", variation(1))})
        assert job.status_code == 202
        assert len(client.get("/v1/sources").json()["items"]) == 4
    with serving(settings, encoder, background) as served:
        assert served.client.get("/v1/index").json()["vectors"] == 4


def fill_under_a_limit(folder, most_bytes):
    """Add sources until no file may grow further; print the error, and how many are held."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Catalog.open(folder) as catalog:
        fill_catalog(catalog, range(3))
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
        for number in range(3, 400):
            try:
                fill_catalog(catalog, [number])
            except (CatalogError, OSError) as error:
                print(type(error).__name__, len(catalog.sources(limit=1000).items))
                break


def test_a_file_that_may_not_grow_loses_nothing(tmp_path):
    """No root needed: past a size, writing fails in the middle of the log."""
    folder = tmp_path / "data"
    with Fork(fill_under_a_limit, folder, 400_000) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    error, held = out.split()
    assert error in {"StorageFull", "CatalogUnusable", "OSError"}
    with Catalog.open(folder) as catalog:
        sources = catalog.sources(limit=1000).items
        assert len(sources) == int(held) >= 3
        for source in sources:
            assert catalog.preview(source.source_id)
        assert json.dumps([change.generation for change in catalog.changes(0)]) == json.dumps(
            list(range(1, len(sources) + 1))
        )
