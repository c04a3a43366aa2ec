"""What pages of other sites are told; who may call at all is tested with access."""

import pytest

from app.settings import Settings
from tests.support.service import serving

SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def named(tmp_path_factory, encoder):
    """A service that one other site's pages may call."""
    data = tmp_path_factory.mktemp("service")
    with serving(Settings(data=data, inference_threads=1, cors_origins=SHOP), encoder) as served:
        yield served


@pytest.mark.parametrize("origin", [SHOP, "HTTPS://Shop.Example"])
def test_a_named_origin_may_read_and_show_what_it_gets(named, origin):
    headers = named.client.get("/v1/index", headers={"Origin": origin}).headers
    assert headers["access-control-allow-origin"] == origin
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["vary"] == "Origin"
    exposed = headers["access-control-expose-headers"].split(", ")
    assert {"ETag", "Location", "Retry-After", "RateLimit-Remaining", "X-Request-ID"} <= {*exposed}


@pytest.mark.parametrize(
    "origin", [None, "https://other.example", "null", f"{SHOP}.evil", SHOP[1:]]
)
def test_another_origin_may_not(named, origin):
    sent = {} if origin is None else {"Origin": origin}
    headers = named.client.get("/livez", headers=sent).headers
    assert "access-control-allow-origin" not in headers
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["vary"] == "Origin", "a cache must not hand it to a page that may"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
@pytest.mark.parametrize("asked", ["if-match, Content-Type", "x-unheard-of"])
def test_a_preflight_lists_what_may_be_sent_and_leaves_the_rest_to_the_browser(
    named, method, asked
):
    preflight = {
        "Origin": SHOP,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asked,
    }
    response = named.client.options("/v1/sources/x", headers=preflight)
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert "content-length" not in response.headers
    assert response.headers["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE"
    allowed = response.headers["access-control-allow-headers"].split(", ")
    sendable = {"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"}
    assert sendable <= {*allowed}
    assert response.headers["access-control-max-age"] == "600"
    assert response.headers["x-request-id"]
