"""Where a batch, and the key with it, goes: straight to this machine, never openly to a proxy."""

import httpx
import pytest

from app.cli.batch.connection import connect
from app.cli.failures import BadInvocation
from tests.support.proxies import named_proxy

KEY = "attr_not_a_real_key"


@pytest.fixture
def proxy(monkeypatch):
    with named_proxy(monkeypatch) as seen:
        yield seen


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


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host", "http://", "http://h:port"])
def test_what_is_no_address_is_told(url):
    with pytest.raises(BadInvocation, match="is no address"):
        connect(url, None)


@pytest.mark.parametrize("key", ["", "two\nlines", "schlüssel"])
def test_what_is_no_key_is_told_before_it_is_sent(key):
    with pytest.raises(BadInvocation, match="holds no key"):
        connect("https://attribution.example", key)
