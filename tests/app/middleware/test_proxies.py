"""Behind a proxy: a prefix of paths, told by the settings or by a proxy that is trusted."""

import re
from urllib.parse import urljoin

import pytest

from app.addresses import clean_prefix
from app.settings import Settings
from tests.support.pictures import jpeg, picture, variation
from tests.support.service import serving

FORWARDED = {"X-Forwarded-Prefix": "/images/v2"}


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory, encoder):
    settings = Settings(data=tmp_path_factory.mktemp("prefixed"), root_path="/images")
    with serving(settings, encoder) as running:
        yield running


def links(page: str) -> set[str]:
    return set(re.findall(r'(?:href|src)="([^"]+)"', page))


def is_served_under(running, prefix: str, cut: str = "", headers=None) -> None:
    """Everything that an answer names is there for a client of a proxy that cuts `cut` off."""
    client, headers = running.client, headers or {}

    def get(address: str):
        assert address.startswith(f"{prefix}/"), address
        return client.get(address.removeprefix(cut), headers=headers)

    for path in (f"{prefix}/", f"{prefix}/docs"):
        page = get(path)
        assert page.status_code == 200
        named = links(page.text)
        assert len(named) >= 3
        for link in named:
            assert get(urljoin(path, link)).status_code == 200, link
    described = get(f"{prefix}/openapi.json").json()
    assert described["servers"] == [{"url": prefix}]
    files = {"file": ("1.jpg", jpeg(picture(1)))}
    added = client.post("/v1/sources", files=files, headers=headers)
    assert added.headers["location"] == f"{prefix}/v1/sources/{added.json()['source']['source_id']}"
    assert get(added.headers["location"]).status_code == 200
    answer = client.post("/v1/attributions", files={"file": variation(1)}, headers=headers).json()
    listed = get(f"{prefix}/v1/sources").json()["items"]
    for source in (added.json()["source"], *listed, *answer["sources"]):
        assert get(source["thumbnail_url"]).headers["content-type"] == "image/jpeg"
    job = client.post("/v1/jobs", files={"files": variation(1)}, headers=headers)
    assert get(job.headers["location"]).status_code == 200
    assert get(job.json()["results_url"]).status_code == 200
    results = get(job.json()["results_url"]).text
    assert '"thumbnail_url": "/v1' not in results


def test_a_prefix_of_the_settings_whether_the_proxy_cuts_it_off_or_not(prefixed):
    is_served_under(prefixed, "/images")
    is_served_under(prefixed, "/images", cut="/images")
    assert prefixed.client.get("/images").status_code == 200, "the page, without its last slash"
    assert prefixed.client.get("/images/v1/nowhere").status_code == 404
    assert prefixed.client.get("/imagesv1/index").status_code == 404


def test_a_prefix_of_a_trusted_proxy(shared, prefixed):
    is_served_under(shared, "/images/v2", cut="/images/v2", headers=FORWARDED)
    is_served_under(prefixed, "/images/v2", cut="/images/v2", headers=FORWARDED)
    for running, prefix in ((shared, ""), (prefixed, "/images")):
        [named] = {source["thumbnail_url"].partition("/v1")[0]
                   for source in running.client.get("/v1/sources").json()["items"]}  # fmt: skip
        assert named == prefix, "and nothing of it stays for the next request"


def test_proxies_before_each_other_each_add_theirs(shared):
    headers = {"X-Forwarded-Prefix": "/images, /v2/"}
    is_served_under(shared, "/images/v2", cut="/images/v2", headers=headers)


@pytest.mark.parametrize(
    "prefix",
    ["//elsewhere.example", "https://elsewhere.example", "/a\"b", "/a<b>", "/../..", "a", "/a b",
     "/a?b", "/a\\b", "/a,//b"],
)  # fmt: skip
def test_what_is_no_prefix_is_not_heard(shared, prefix):
    page = shared.client.get("/", headers={"X-Forwarded-Prefix": prefix})
    assert page.text == shared.client.get("/").text
    with pytest.raises(ValueError, match="no prefix of paths"):
        [clean_prefix(part) for part in prefix.split(",")]


def test_a_stranger_is_not_heard(settings, encoder):
    strict = settings.model_copy(update={"trusted_proxies": "10.0.0.0/8"})
    with serving(strict, encoder) as running:
        page = running.client.get("/", headers=FORWARDED)
        assert page.text == running.client.get("/").text
        assert "/images" not in page.text


def test_rules_and_limits_are_those_of_the_path_within(prefixed):
    large = b"x" * 2_000_000
    response = prefixed.client.post("/images/v1/sources/delete", content=large)
    assert response.json()["type"] == "/problems/request-too-large"
    response = prefixed.client.get("/images/v1/index")
    assert response.headers["cache-control"] == "no-store"
    assert prefixed.client.put("/images/v1/sources").headers["allow"] == "GET, HEAD, POST"


def test_keys_are_asked_for_under_a_prefix(settings, encoder):
    under = settings.model_copy(update={"root_path": "/images"})
    with serving(under, encoder) as running:
        token = running.service.catalog.keys.create("k", ("query",)).token
        bearer = {"Authorization": f"Bearer {token}"}
        for path in ("/v1/index", "/images/v1/index"):
            assert running.client.get(path).status_code == 401
            assert running.client.get(path, headers=bearer).status_code == 200
        for path in ("/images/livez", "/images/", "/images/web/index.js"):
            assert running.client.get(path).status_code == 200
        assert running.client.get("/images/metrics").status_code == 401
