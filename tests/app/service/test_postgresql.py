"""A service whose catalog is in PostgreSQL: killed, cut off, and a second one beside it."""

import time

import pytest

from app.service.service import open_service
from app.settings import Settings
from attribution.folder_lock import FolderInUse
from attribution.opening.load import Vision
from tests.support import postgresql as servers
from tests.support.pictures import jpeg, picture, variation
from tests.support.processes import ServiceProcess
from tests.support.service import serving
from tests.support.terminal import call
from tests.support.waiting import PATIENCE


@pytest.fixture
def url(postgresql):
    return postgresql.empty_catalog()


def told(service):
    """What of an answer does not depend on the moment."""
    answer = service.client.post("/v1/attributions", files={"file": variation(3)}).json()
    names = ("decision", "p_value", "sources", "index_generation", "other_share")
    return {name: answer[name] for name in names}


def test_killed_and_started_again_it_gives_the_same_answer(tmp_path, url):
    before, sources = None, []
    for _ in range(2):
        service = ServiceProcess(tmp_path, ATTRIBUTION_DATABASE_URL=url)
        try:
            if before is None:
                for seed in range(5):
                    upload = {"file": (f"{seed}.jpg", jpeg(picture(seed)))}
                    added = service.client.post("/v1/sources", files=upload)
                    assert added.status_code == 201
                    sources.append(added.json()["source"]["source_id"])
                before = told(service)
                assert before["sources"][0]["source_id"] == sources[3]
                service.process.kill()
            else:
                assert told(service) == before
                listed = service.client.get("/v1/sources").json()["items"]
                assert [source["source_id"] for source in listed] == sources
                assert servers.PASSWORD not in service.log
        finally:
            service.close()
    assert not list((tmp_path / "data").glob("catalog.sqlite3*"))


def test_without_its_server_it_is_not_ready_and_comes_back_with_it(
    postgresql, tmp_path, url, encoder, caplog, monkeypatch
):
    settings = Settings(data=tmp_path / "data", database_url=url, inference_threads=1)
    with serving(settings, encoder) as served:
        source = served.add(1)["source"]["source_id"]
        with pytest.raises(FolderInUse), open_service(settings, Vision(encoder, None)):
            pass
        with postgresql.out_of_reach(url):
            assert served.client.get("/readyz").status_code == 503
            lost = served.client.get(f"/v1/sources/{source}")
            assert (lost.status_code, lost.json()["type"]) == (503, "/problems/catalog-unavailable")
            assert served.client.get("/livez").status_code == 200
            monkeypatch.setenv("ATTRIBUTION_DATABASE_URL", url)
            failed = call("keys", "list", "--data", settings.data)
            assert failed.code == 1
            assert failed.err.count("\n") == 1
        deadline = time.monotonic() + PATIENCE
        while served.client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert served.client.get(f"/v1/sources/{source}").status_code == 200
        assert served.add(2)["source"]["source_id"] != source
    backup = call("backup", tmp_path / "backup", "--data", settings.data)
    restored = call("restore", tmp_path, "--data", settings.data)
    assert (backup.code, restored.code) == (1, 2)
    assert "pg_dump --format=custom" in backup.err.replace("\n", " ")
    assert "pg_restore --clean" in restored.err.replace("\n", " ")
    shown = caplog.text + lost.text + failed.err + backup.err + restored.err
    assert "not currently accepting connections" in shown
    assert servers.PASSWORD not in shown
