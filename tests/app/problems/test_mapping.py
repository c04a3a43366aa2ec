"""A disk that is truly full: a small file system of its own, filled to the last byte."""

import tempfile

import pytest

from app.settings import Settings
from tests.app.conftest import jpeg, picture, png, serving, variation
from tests.support.disks import fill, small_disk


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", 24_000_000) as place:
        yield place


def full(response):
    return (response.status_code, response.json()["type"]) == (507, "/problems/storage-full")


def test_every_write_is_507_every_read_works_and_nothing_is_half_written(
    disk, encoder, background, monkeypatch
):
    spool = disk / "spool"
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    large = png(picture(9, size=(2400, 1600)).effect_spread(40))
    assert len(large) > 2_000_000, "beyond what an upload may hold in memory"
    settings = Settings(data=disk / "data", inference_threads=1)
    with serving(settings, encoder, background) as served:
        kept = served.add(1)
        before = served.client.get("/v1/sources").json()
        filler = fill(disk)
        client = served.client
        # More than one write, for the log may have a little room yet.
        added = [
            client.post("/v1/sources", files={"file": jpeg(picture(seed))}) for seed in (2, 3, 4)
        ]
        assert all(full(response) for response in added), [item.text for item in added]
        batch = client.post("/v1/sources/batch", files=[("files", ("5.jpg", jpeg(picture(5))))])
        assert full(batch)
        assert full(client.post("/v1/jobs", files={"files": ("a.jpg", variation(1))}))
        assert full(client.post("/v1/index/snapshot"))
        assert full(client.post("/v1/attributions", files={"file": large}))

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
