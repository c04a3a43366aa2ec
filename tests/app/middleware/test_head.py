"""HEAD answers as GET does, without a body, wherever GET is, and nowhere else."""

import httpx
import pytest

from tests.support.clients import connected

VARYING = {"x-request-id", "date"}


@pytest.fixture(scope="module")
def source(shared):
    return shared.add(1)["source"]


def alike(shared, path: str, **options) -> httpx.Response:
    """The HEAD of a path, found to be its GET without a body."""
    got, headed = (shared.client.request(method, path, **options) for method in ("GET", "HEAD"))
    assert headed.content == b""
    assert headed.status_code == got.status_code
    ignored = VARYING | ({"content-length"} if path == "/metrics" else set())
    told, expected = (
        {name: value for name, value in response.headers.items() if name not in ignored}
        for response in (headed, got)
    )
    assert told == expected
    return headed


@pytest.mark.parametrize(
    "path",
    ["/", "/docs", "/openapi.json", "/web/index.js", "/docs/assets/swagger-ui.css", "/livez",
     "/readyz", "/metrics", "/v1/index", "/v1/sources", "/v1/sources?limit=1",
     "/v1/sources/export", "/v1/collections", "/v1/collections/default",
     "/problems/storage-full"],
)  # fmt: skip
def test_what_is_there(shared, source, path):
    assert alike(shared, path).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nowhere", 404), ("/v1/nowhere", 404), ("/web/none.js", 404), ("/problems/none", 404),
     ("/v1/sources/none", 404), ("/v1/sources/none/thumbnail", 404), ("/v1/jobs/none", 404),
     ("/v1/jobs/none/results", 404), ("/v1/sources?limit=0", 422), ("/v1/index?x=1", 422),
     ("/v1/attributions", 405), ("/v1/sources/delete", 404)],
)  # fmt: skip
def test_what_is_not(shared, path, status):
    response = alike(shared, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


def test_a_source_and_its_thumbnail(shared, source):
    path = f"/v1/sources/{source['source_id']}"
    assert alike(shared, path).headers["etag"]
    thumbnail = alike(shared, f"{path}/thumbnail")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert int(thumbnail.headers["content-length"]) > 100
    held = {"If-None-Match": thumbnail.headers["etag"]}
    assert alike(shared, f"{path}/thumbnail", headers=held).status_code == 304


def test_the_connection_goes_on_after_one(shared):
    with connected(shared.url) as raw:
        asked = b"HEAD /%b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        last = b"HEAD /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        raw.sendall(asked % b"v1/sources/export" + asked % b"docs" + last)
        with raw.makefile("rb") as file:
            answers = file.read().split(b"\r\n\r\n")
    assert [answer[:15] for answer in answers if answer] == [b"HTTP/1.1 200 OK"] * 3


def test_metrics_count_it_under_its_route_and_the_description_does_not_name_it(shared, source):
    shared.client.head(f"/v1/sources/{source['source_id']}")
    wanted = 'method="HEAD",route="/v1/sources/{source_id}",status="200"'
    assert wanted in shared.client.get("/metrics").text
    described = shared.client.get("/openapi.json").json()["paths"]
    assert not [path for path, operations in described.items() if "head" in operations]


def test_a_key_is_asked_for_as_for_get(running):
    token = running.service.catalog.keys.create("k", ("query",)).token
    bearer = {"Authorization": f"Bearer {token}"}
    assert running.client.head("/v1/index").status_code == 401
    assert running.client.head("/v1/index", headers=bearer).status_code == 200
    assert running.client.head("/v1/sources", headers=bearer).status_code == 403
    assert running.client.head("/livez").status_code == 200
