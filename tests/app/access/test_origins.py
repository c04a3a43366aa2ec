"""A service without keys answers its own machine only, and nobody else's page."""

import pytest
from starlette.datastructures import Headers

from app.access.origins import reason_to_refuse
from app.settings import Settings


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:8000"},
        {"host": "127.0.0.1:8000"},
        {"host": "127.9.9.9"},
        {"host": "[::1]:8000"},
        {"host": "LOCALHOST"},
        {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"},
        {"host": "localhost:8000", "sec-fetch-site": "same-origin"},
        {"host": "localhost:8000", "sec-fetch-site": "none"},
    ],
)
def test_local_requests_are_answered(headers):
    assert reason_to_refuse(Headers(headers), scheme="http") is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": ""},
        {"host": "example.com"},
        {"host": "localhost.example.com"},
        {"host": "127.0.0.1.example.com"},
        {"host": "192.168.1.4:8000"},
        {"host": "0.0.0.0:8000"},
        {"host": "[::1"},
        {"host": "user@example.com"},
        {"host": "localhost:8000", "origin": "http://localhost:3000"},
        {"host": "localhost:8000", "origin": "https://localhost:8000"},
        {"host": "localhost:8000", "origin": "https://example.com"},
        {"host": "localhost:8000", "origin": "null"},
        {"host": "localhost:8000", "sec-fetch-site": "cross-site"},
        {"host": "localhost:8000", "sec-fetch-site": "same-site"},
        {"host": "localhost:8000", "x-forwarded-for": "10.0.0.1"},
        {"host": "localhost:8000", "forwarded": "for=10.0.0.1"},
        {"host": "localhost:8000", "x-real-ip": "10.0.0.1"},
        {"host": "localhost:8000", "via": "1.1 proxy"},
        {"host": "localhost:8000", "cf-connecting-ip": "10.0.0.1"},
    ],
)
def test_everything_else_is_refused(headers):
    assert reason_to_refuse(Headers(headers), scheme="http") is not None


@pytest.mark.parametrize(
    ("headers", "answered"),
    [
        ({"host": "images.example.com", "x-forwarded-for": "10.0.0.1"}, True),
        ({"host": "images.example.com", "origin": "https://images.example.com"}, True),
        ({"host": "images.example.com", "origin": "https://other.example.com"}, False),
        ({"host": "images.example.com", "sec-fetch-site": "cross-site"}, False),
        ({"host": "images.example.com", "origin": "null"}, False),
    ],
)
def test_off_loopback_other_sites_pages_are_still_refused(headers, answered):
    reason = reason_to_refuse(Headers(headers), scheme="http", local_only=False)
    assert (reason is None) == answered


def test_an_origin_that_the_operator_names_may_call():
    page = {"origin": "https://Shop.example", "sec-fetch-site": "cross-site"}
    headers = Headers({"host": "localhost:8000", **page})
    origins = frozenset({"https://shop.example"})
    assert reason_to_refuse(headers, scheme="http", origins=origins) is None
    assert reason_to_refuse(headers, scheme="http") is not None
    forwarded = Headers({"host": "example.com", **page})
    assert reason_to_refuse(forwarded, scheme="http", origins=origins) is not None


def test_two_origins_are_no_origin():
    raw = [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"origin", b"null")]
    assert reason_to_refuse(Headers(raw=raw), scheme="http") is not None


def test_two_hosts_are_no_host():
    raw = [(b"host", b"localhost"), (b"host", b"example.com")]
    assert reason_to_refuse(Headers(raw=raw), scheme="http") is not None


def test_a_refusal_is_a_problem_on_every_path(shared):
    for path in ("/", "/v1/index", "/docs", "/nowhere", "/livez"):
        response = shared.client.get(path, headers={"Host": "example.com"})
        assert response.status_code == 403
        assert response.json()["type"] == "/problems/cross-site-request"
        assert response.headers["x-request-id"] == response.json()["request_id"]


def test_a_cross_site_upload_reaches_no_route(shared):
    before = shared.service.catalog.generation()
    response = shared.client.post(
        "/v1/sources", files={"file": b"x"}, headers={"Origin": "https://example.com"}
    )
    assert response.status_code == 403
    assert shared.service.catalog.generation() == before


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("box", False)],
)
def test_only_loopback_addresses_are_local(host, local):
    assert Settings(host=host).local_only is local
