"""Where a batch, and the key with it, goes: straight to this machine, never openly to a proxy."""

import http.server
import threading

import httpx
import pytest

from app.cli.batch.connection import connect, is_loopback
from app.cli.failures import BadInvocation

KEY = "attr_not_a_real_key"


@pytest.fixture
def proxy(monkeypatch):
    """A proxy that the environment names for everything, and the requests that it was told."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.command, self.path, self.headers.get("Authorization")))
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_CONNECT = do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}"
        for name in ("NO_PROXY", "no_proxy", "REQUEST_METHOD"):
            monkeypatch.delenv(name, raising=False)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, address)
            monkeypatch.setenv(name.lower(), address)
        yield seen
        server.shutdown()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.10", "localhost", "LOCALHOST", "[::1]", "a.localhost", "0.0.0.0"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("key", [None, KEY])
def test_nothing_on_the_way_to_this_machine_goes_to_a_proxy(proxy, scheme, host, key):
    with (
        connect(f"{scheme}://{host}:9", key) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.get("/livez")
    assert proxy == []


def test_without_a_key_the_proxy_is_used(proxy):
    with connect("http://attribution.example", None) as client:
        assert client.get("/livez").status_code == 403
    assert proxy == [("GET", "http://attribution.example/livez", None)]


def test_a_key_is_not_told_to_a_proxy(proxy):
    with pytest.raises(BadInvocation, match=r"https://attribution\.example"):
        connect("http://attribution.example", KEY)
    with (
        connect("https://attribution.example", KEY) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.get("/livez")
    assert [(method, authorization) for method, _, authorization in proxy] == [("CONNECT", None)]


def test_what_the_environment_reaches_directly_gets_its_key(proxy, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "attribution.invalid")
    monkeypatch.setenv("no_proxy", "attribution.invalid")
    with (
        connect("http://attribution.invalid", KEY) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.get("/livez")
    assert proxy == []


@pytest.mark.parametrize("host", ["example.org", "10.0.0.1", "128.0.0.1", "localhost.example", ""])
def test_other_hosts_are_not_this_machine(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host", "http://", "http://h:port"])
def test_what_is_no_address_is_told(url):
    with pytest.raises(BadInvocation, match="is no address"):
        connect(url, None)


@pytest.mark.parametrize("key", ["", "two\nlines", "schlüssel"])
def test_what_is_no_key_is_told_before_it_is_sent(key):
    with pytest.raises(BadInvocation, match="holds no key"):
        connect("https://attribution.example", key)
