"""One long job on a service that is killed in the middle, more than once."""

import io
import json
import time
import zipfile
from typing import Any

from tests.fault.service_process import ServiceProcess
from tests.support.pictures import small_jpeg


def archive(images: int) -> bytes:
    """A zip of so many different tiny images."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        for number in range(images):
            made.writestr(f"{number}.jpg", small_jpeg(number, (12, 10)))
    return written.getvalue()


def results_after_kills(service: ServiceProcess, *, images: int, kills: int) -> list[dict]:
    """The results of a job of so many images, of which each kill lets pass about as many.

    Raises:
        AssertionError: a kill did not fall in the middle, or what was read before was lost.
    """
    for number in range(3):
        added = service.client.post("/v1/sources", files={"file": small_jpeg(10**9 + number)})
        assert added.status_code == 201, added.text
    response = service.client.post(
        "/v1/jobs", content=archive(images), headers={"Content-Type": "application/zip"}
    )
    assert response.status_code == 202, response.text
    location = response.headers["location"]
    seen: list[dict[str, Any]] = []
    for kill in range(1, kills + 1):
        while len(seen) < images * kill // (kills + 1):
            seen += _results(service, location, after=len(seen))
            time.sleep(0.005)
        assert len(seen) < images, "the kill must fall in the middle"
        service.kill()
        service.start()
    assert _results(service, location)[: len(seen)] == seen, "what was read before still holds"
    while service.client.get(location).json()["state"] != "finished":
        time.sleep(0.05)
    return _results(service, location)


def check_each_once(results: list[dict], images: int) -> None:
    """Every image has one result, which is an answer."""
    assert [result["sequence"] for result in results] == list(range(1, images + 1))
    assert sorted(result["index"] for result in results) == list(range(images))
    for result in results:
        assert result["filename"] == f"{result['index']}.jpg"
        assert len(result["attribution"]["sources"]) == 3, result


def _results(service: ServiceProcess, location: str, after: int = 0) -> list[dict]:
    response = service.client.get(f"{location}/results", params={"after": after})
    return [json.loads(line) for line in response.text.splitlines()]
