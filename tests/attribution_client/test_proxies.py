"""Neither client tells a proxy of the environment what it is not to know."""

import asyncio

import httpx
import pytest

from attribution_client import AsyncClient, Client, NotAnswered
from attribution_client.proxies import is_loopback
from tests.support.proxies import named_proxy

KEY = "attr_not_a_real_key"


@pytest.fixture
def proxy(monkeypatch):
    with named_proxy(monkeypatch) as seen:
        yield seen


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
@pytest.mark.parametrize("key", [None, KEY])
def test_nothing_on_the_way_to_this_machine_goes_to_a_proxy(proxy, host, key):
    with Client(f"http://{host}:9", key=key, patience=0) as client, pytest.raises(NotAnswered):
        client.get_index()

    async def awaited():
        async with AsyncClient(f"http://{host}:9", key=key, patience=0) as client:
            await client.get_index()

    with pytest.raises(NotAnswered):
        asyncio.run(awaited())
    assert proxy == []


def test_a_key_is_not_told_to_a_proxy(proxy):
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match=r"https://attribution\.example"):
            kind("http://attribution.example", key=KEY)
    with (
        Client("https://attribution.example", key=KEY, patience=0) as client,
        pytest.raises(NotAnswered),
    ):
        client.get_index()
    assert {(method, authorization) for method, _, authorization in proxy} == {("CONNECT", None)}


def test_without_a_key_the_proxy_is_used(proxy):
    with Client("http://attribution.example", patience=0) as client:
        assert client.http.get("/livez").status_code == httpx.codes.FORBIDDEN
    assert proxy == [("GET", "http://attribution.example/livez", None)]


@pytest.mark.parametrize("host", ["example.org", "10.0.0.1", "128.0.0.1", "localhost.example", ""])
def test_other_hosts_are_not_this_machine(host):
    assert not is_loopback(host)
