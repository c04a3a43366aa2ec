"""Files damaged while the service was down: it starts and says so, or says why it does not."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fault.service_process import services
from tests.support.pictures import small_jpeg
from tests.support.waiting import wait_for

SOURCES = 6


@dataclass(frozen=True)
class Stopped:
    """What a service has left behind: the folder, and what it answered."""

    folder: Path
    answer: list


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A service with a few sources and a saved index, killed."""
    folder = tmp_path_factory.mktemp("killed") / "data"
    with services(folder) as start:
        service = start()
        service.wait_until_ready()
        for number in range(SOURCES):
            service.client.post("/v1/sources", files={"file": small_jpeg(number)})
        service.client.post("/v1/index/snapshot")
        answer = ask(service)
        service.kill()
    return Stopped(folder, answer)


@pytest.fixture
def stopped(killed, tmp_path):
    """A copy of it to damage, on which `start` starts."""
    shutil.copytree(killed.folder, tmp_path / "data")
    return Stopped(tmp_path / "data", killed.answer)


def ask(service):
    response = service.client.post("/v1/attributions", files={"file": small_jpeg(2)})
    assert response.status_code == 200, response.text
    answer = response.json()
    return [(source["source_id"], round(source["score"], 4)) for source in answer["sources"]]


def each_file(folder: Path, pattern: str):
    paths = [path for path in folder.glob(pattern) if path.is_file()]
    assert paths
    return paths


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x40]) + data[middle + 1 :]


def emptied(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("index/CURRENT", emptied),
        ("index/*/manifest.json", flipped),
        ("index/*/*.npy", truncated),
        ("index/*/*.npy", flipped),
    ],
)
def test_a_damaged_snapshot_is_built_anew_and_answers_are_the_same(start, stopped, damage, pattern):
    for path in each_file(stopped.folder, pattern):
        path.write_bytes(damage(path.read_bytes()))
    service = start()
    assert ask(service) == stopped.answer


@pytest.mark.parametrize("lost", [1, 5000])
def test_a_log_torn_at_its_end_loses_its_last_writes_at_most(start, stopped, lost):
    """As after a power cut of a disk that lies about what it has written."""
    log = stopped.folder / "catalog.sqlite3-wal"
    log.write_bytes(log.read_bytes()[:-lost])
    service = start()
    listed = service.client.get("/v1/sources").json()["items"]
    assert SOURCES - 2 <= len(listed) <= SOURCES
    assert len(ask(service)) == len(listed)
    assert service.client.post("/v1/sources", files={"file": small_jpeg(99)}).status_code == 201


@pytest.mark.parametrize("damage", [flipped, emptied])
def test_damaged_previews_harm_nothing_else(start, stopped, damage):
    for path in each_file(stopped.folder, "previews/*/*.jpg"):
        path.write_bytes(damage(path.read_bytes()))
    service = start()
    assert ask(service) == stopped.answer
    for source_id, _ in stopped.answer:
        response = service.client.get(f"/v1/sources/{source_id}/thumbnail")
        assert response.status_code == 404, "damaged pictures are not shown"
        assert response.json()["type"] == "/problems/preview-missing"


def test_previews_that_are_gone_are_said_to_be(start, stopped):
    for path in each_file(stopped.folder, "previews/*/*.jpg"):
        path.unlink()
    service = start()
    assert ask(service) == stopped.answer
    response = service.client.get(f"/v1/sources/{stopped.answer[0][0]}/thumbnail")
    assert response.json()["type"] == "/problems/preview-missing"


def test_a_damaged_database_is_not_served(start, stopped):
    for path in each_file(stopped.folder, "catalog.sqlite3*"):
        path.write_bytes(b"\xa5" * 8192)
    service = start()
    wait_for(lambda: not service.alive)  # it serves no catalog that it cannot read
    said = (stopped.folder.parent / "service.log").read_text()
    assert "CatalogUnusable" in said
    assert "restore a backup" in said
