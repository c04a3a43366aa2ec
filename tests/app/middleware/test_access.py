"""Keys over HTTP: who is let in, to what, before anything of the request is read."""

import re
import socket
from datetime import UTC, datetime, timedelta

import pytest

from app.access.scopes import PUBLIC, RULES, is_public, rule_of
from app.settings import Settings
from tests.support.clients import client as new_client
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import serving
from tests.support.waiting import PATIENCE

SCOPES_OF = {
    ("POST", "/v1/attributions"): {"query"},
    ("POST", "/v1/attributions/batch"): {"query"},
    ("POST", "/v1/jobs"): {"query"},
    ("GET", "/v1/sources"): {"curate"},
    ("POST", "/v1/sources"): {"curate"},
    ("POST", "/v1/sources/batch"): {"curate"},
    ("POST", "/v1/sources/delete"): {"curate"},
    ("GET", "/v1/sources/export"): {"curate"},
    ("GET", "/v1/sources/src_none"): {"query", "curate"},
    ("GET", "/v1/sources/src_none/thumbnail"): {"query", "curate"},
    ("PATCH", "/v1/sources/src_none"): {"curate"},
    ("DELETE", "/v1/sources/src_none"): {"curate"},
    ("GET", "/v1/collections"): {"query", "curate"},
    ("GET", "/v1/collections/none"): {"query", "curate"},
    ("PUT", "/v1/collections/none"): {"curate"},
    ("DELETE", "/v1/collections/none"): {"curate"},
    ("GET", "/v1/index"): {"query", "curate"},
    ("POST", "/v1/index/snapshot"): set(),
    ("GET", "/metrics"): {"query", "curate"},
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, encoder, background):
    """A service with keys, and `token(scopes, ...)` that makes one more."""
    settings = Settings(data=tmp_path_factory.mktemp("service"), inference_threads=1)
    with serving(settings, encoder, background) as served:
        served.service.catalog.keys.create("first", ["admin"])
        yield served


def token(served, *scopes, **limits):
    return served.service.catalog.keys.create("test", scopes, **limits).token


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_every_endpoint_has_a_rule_and_every_rule_an_endpoint(shared):
    paths = shared.client.get("/openapi.json").json()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    for method, path in described:
        assert is_public(path) or rule_of(method, path), f"no rule for {method} {path}"
    assert {(rule.method, rule.template) for rule in RULES} <= described
    assert all(is_public(re.sub(r"{\w+(:path)?}", "x", path)) for path in PUBLIC)


def test_the_description_names_the_scheme_and_the_scopes(shared):
    description = shared.client.get("/openapi.json").json()
    assert description["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, operations in description["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == ("401" in operation["responses"]), path
            assert ("security" in operation) == (not is_public(path)), path


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/web/index.js", "/openapi.json", "/livez", "/readyz",
             "/problems/unauthenticated"],
)  # fmt: skip
def test_what_tells_nothing_of_the_catalog_needs_no_key(guarded, path):
    assert guarded.client.get(path).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer nobody"},
        {"Authorization": "Bearer attr_aaaaaaaaaaaaaaaa_" + "a" * 52},
        {"Authorization": "Basic YTpi"},
        {"X-API-Key": "attr_aaaaaaaaaaaaaaaa_" + "a" * 52},
    ],
)
@pytest.mark.parametrize(("method", "path"), SCOPES_OF)
def test_without_a_key_there_is_401_and_how_to_get_one(guarded, method, path, headers):
    response = guarded.client.request(method, path, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith('Bearer realm="attribution"')
    assert response.json()["type"] == "/problems/unauthenticated"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert response.headers["content-security-policy"]


def test_a_key_in_the_address_is_not_taken(guarded):
    key = token(guarded, "admin")
    for name in ("key", "api_key", "access_token", "authorization"):
        assert guarded.client.get("/v1/collections", params={name: key}).status_code == 401


def test_two_authorization_headers_are_none(guarded):
    headers = [("Authorization", f"Bearer {token(guarded, 'admin')}")] * 2
    assert guarded.client.get("/v1/collections", headers=headers).status_code == 401


def test_unknown_ids_and_wrong_secrets_are_told_the_same(guarded):
    key = token(guarded, "query")
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")
    unknown = "attr_" + "a" * 16 + key[21:]
    answers = [guarded.client.get("/v1/index", headers=bearer(tried)) for tried in (wrong, unknown)]
    told = [(answer.status_code, answer.json()["detail"]) for answer in answers]
    assert told[0] == told[1]
    assert 'error="invalid_token"' in answers[0].headers["www-authenticate"]


@pytest.mark.parametrize("scope", ["query", "curate", "admin"])
def test_each_scope_opens_its_endpoints_and_no_other(guarded, scope):
    headers = bearer(token(guarded, scope))
    for (method, path), scopes in SCOPES_OF.items():
        response = guarded.client.request(method, path, headers=headers)
        allowed = scope == "admin" or scope in scopes
        assert (response.status_code not in (401, 403)) == allowed, (method, path)
        if not allowed:
            assert response.json()["type"] == "/problems/forbidden"
            assert 'error="insufficient_scope"' in response.headers["www-authenticate"]


def test_a_key_does_its_work(guarded):
    curate, query = bearer(token(guarded, "curate")), bearer(token(guarded, "query"))
    added = guarded.client.post(
        "/v1/sources", headers=curate, files={"file": ("1.jpg", jpeg(picture(1)))}
    )
    assert added.status_code == 201
    answer = guarded.client.post(
        "/v1/attributions", headers=query, files={"file": variation(1)}
    ).json()
    first = answer["sources"][0]
    assert first["source_id"] == added.json()["source"]["source_id"]
    assert guarded.client.get(first["thumbnail_url"]).status_code == 401
    assert guarded.client.get(first["thumbnail_url"], headers=query).status_code == 200


def test_an_expired_or_revoked_key_is_refused_from_the_next_request(guarded, monkeypatch):
    issued = guarded.service.catalog.keys.create("test", ["query"])
    headers = bearer(issued.token)
    assert guarded.client.get("/v1/index", headers=headers).status_code == 200
    guarded.service.catalog.keys.revoke(issued.key.key_id)
    response = guarded.client.get("/v1/index", headers=headers)
    assert response.status_code == 401
    assert response.json()["detail"] == "This key is revoked."

    soon = datetime.now(UTC) + timedelta(hours=1)
    headers = bearer(token(guarded, "query", expires_at=soon))
    assert guarded.client.get("/v1/index", headers=headers).status_code == 200

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return soon

    monkeypatch.setattr("attribution.catalog.records.datetime", Later)
    response = guarded.client.get("/v1/index", headers=headers)
    assert response.json()["detail"] == "This key is expired."


def test_a_stranger_is_refused_before_a_byte_of_the_body_is_sent(guarded):
    host, port = guarded.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(
            b"POST /v1/sources HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: 19000000\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 401")


def test_the_first_key_shuts_the_door_of_a_running_service_for_good(running):
    assert running.client.get("/v1/index").status_code == 200
    issued = running.service.catalog.keys.create("first", ["query"])
    assert running.client.get("/v1/index").status_code == 401
    assert running.client.get("/v1/index", headers=bearer(issued.token)).status_code == 200
    running.service.catalog.keys.revoke(issued.key.key_id)
    assert running.client.get("/v1/index").status_code == 401


def test_with_keys_it_does_not_matter_where_a_request_comes_from(guarded):
    headers = bearer(token(guarded, "query"))
    odd = {
        "Host": "images.example",
        "Origin": "https://other.example",
        "X-Forwarded-For": "1.2.3.4",
        "Sec-Fetch-Site": "cross-site",
    }
    response = guarded.client.get("/v1/index", headers=headers | odd)
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers
    assert guarded.client.get("/v1/index", headers=odd).status_code == 401


def test_an_unknown_path_or_method_is_told_to_bearers_only(guarded):
    headers = bearer(token(guarded, "query"))
    for method, path in (("GET", "/v1/nowhere"), ("GET", "/v1/sources/"), ("PROPFIND", "/x")):
        assert guarded.client.request(method, path).status_code == 401
        assert guarded.client.request(method, path, headers=headers).status_code == 404
    response = guarded.client.put("/v1/sources", headers=headers)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, POST"


def test_a_catalog_out_of_reach_lets_nobody_in_and_health_be_told(running, monkeypatch):
    from attribution.catalog import CatalogBusy  # noqa: PLC0415 (as near as the fault it stands for)

    def busy(*_):
        raise CatalogBusy

    monkeypatch.setattr(running.service.catalog.keys, "have_been_made", busy)
    response = running.client.get("/v1/index")
    assert response.status_code == 503
    assert response.json()["type"] == "/problems/catalog-unavailable"
    assert running.client.get("/livez").status_code == 200
    assert running.client.get("/livez", headers={"Host": "example.com"}).status_code == 403


def test_a_key_that_asks_too_often_waits_and_others_do_not(tmp_path, encoder):
    settings = Settings(data=tmp_path, inference_threads=1, query_rate=3, curate_rate=0)
    with serving(settings, encoder) as served:
        eager, calm = (bearer(token(served, "query", "curate")) for _ in range(2))
        answers = [served.client.get("/v1/index", headers=eager) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert answers[0].headers["ratelimit-limit"] == "3"
        assert answers[0].headers["ratelimit-policy"] == "3;w=60"
        assert 0 < int(answers[3].headers["retry-after"]) <= 20
        assert answers[3].json()["type"] == "/problems/too-many-requests"
        assert served.client.get("/v1/index", headers=calm).status_code == 200
        unlimited = served.client.get("/v1/sources", headers=eager)
        assert unlimited.status_code == 200
        assert "ratelimit-limit" not in unlimited.headers
        assert served.client.get("/livez", headers=eager).status_code == 200


def test_a_key_limited_to_collections_takes_nothing_down(guarded):
    headers = bearer(token(guarded, "curate", collections=["a"]))
    body = {"sha256s": ["0" * 64], "takedown": True, "reason": "test"}
    response = guarded.client.post("/v1/sources/delete", headers=headers, json=body)
    assert response.status_code == 403
    assert response.json()["type"] == "/problems/forbidden"


def test_pages_of_other_sites_may_call_where_the_operator_names_them(tmp_path, encoder):
    shop = "https://shop.example"
    settings = Settings(data=tmp_path, inference_threads=1, cors_origins=f"{shop} http://b.example")
    asked = {"Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization"}  # fmt: skip
    with serving(settings, encoder) as served:
        headers = bearer(token(served, "query"))
        preflight = served.client.options("/v1/attributions", headers={"Origin": shop, **asked})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == shop
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in preflight.headers
        response = served.client.get("/v1/index", headers=headers | {"Origin": shop})
        assert response.headers["access-control-allow-origin"] == shop
        refused = served.client.get("/v1/index", headers={"Origin": shop})
        assert refused.headers["access-control-allow-origin"] == shop, "its 401 can be read too"
        for origin in ("https://other.example", "null", "https://shop.example.evil"):
            other = served.client.options("/v1/index", headers={"Origin": origin, **asked})
            assert other.status_code == 401
            assert "access-control-allow-origin" not in other.headers
            assert "Origin" in other.headers["vary"]


def test_no_page_of_another_site_may_call_by_default(guarded):
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    response = guarded.client.options("/v1/index", headers=headers)
    assert response.status_code == 401
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/livez", "/v1/index", "/nowhere", "/docs/assets/x"])
def test_every_response_carries_the_security_headers(guarded, path):
    for client_headers in ({}, bearer(token(guarded, "admin"))):
        headers = guarded.client.get(path, headers=client_headers).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["permissions-policy"]
        assert "server" not in headers or headers["server"] == "uvicorn"
        if path.startswith("/v1/"):
            assert headers["cache-control"] == "no-store"


def test_keys_appear_in_no_log(guarded, caplog):
    caplog.set_level("DEBUG")
    key = token(guarded, "query")
    with new_client(guarded.url) as client:
        for path in ("/v1/index", "/v1/sources", "/nowhere", f"/{key}"):
            client.get(path, headers=bearer(key))
    ours = [
        record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    ]
    assert not [record for record in ours if key in record.getMessage() + str(record.__dict__)]
