"""Where messages may go, and that they go where was looked."""

import ipaddress

import pytest

from app.webhooks.places import Forbidden, is_public, place_of


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1",
        "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_no_private_address_is_public_however_it_is_written(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_others_are(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url", ["https://localhost/", "https://127.1/", "https://2130706433/", "https://[::1]:8443/a"]
)
def test_this_machine_is_refused_under_every_name(url):
    with pytest.raises(Forbidden, match="no address of the public internet"):
        place_of(url, private=False)


def test_one_private_address_of_a_name_is_enough_to_refuse_it(monkeypatch):
    found = [(2, 1, 6, "", (ip, 443)) for ip in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr("app.webhooks.places.socket.getaddrinfo", lambda *_, **__: found)
    with pytest.raises(Forbidden, match=r"10\.0\.0\.1"):
        place_of("https://hook.example/a?b=c", private=False)
    monkeypatch.setattr("app.webhooks.places.socket.getaddrinfo", lambda *_, **__: found[:1])
    place = place_of("https://hook.example:8443/a?b=c", private=False)
    assert str(place.url) == "https://93.184.216.34:8443/a?b=c", "what was looked up is asked"
    assert (place.host, place.name) == ("hook.example:8443", "hook.example")
