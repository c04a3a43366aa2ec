"""A service that other machines can reach has keys, or was told to do without."""

import stat

import pytest

from app.access.first_key import Unguarded, guard
from app.factory import open_app
from app.settings import Settings
from attribution.catalog import Catalog
from attribution.opening.load import Vision
from tests.support.service import serving


@pytest.fixture
def catalog(tmp_path):
    with Catalog.open(tmp_path / "data") as opened:
        yield opened


def test_other_machines_without_keys_are_not_served(tmp_path, encoder):
    settings = Settings(data=tmp_path, host="0.0.0.0")
    refused = pytest.raises(Unguarded, match="attribution keys create")
    with refused, open_app(settings, Vision(encoder, None)):
        pytest.fail("it was opened")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "box"])
def test_no_address_but_loopback_is_let_through_without_keys(catalog, host):
    with pytest.raises(Unguarded):
        guard(Settings(host=host), catalog)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_keys(catalog, host):
    guard(Settings(host=host), catalog)
    assert not catalog.keys.have_been_made()


def test_who_is_told_to_serves_everybody_and_says_so(catalog, caplog):
    guard(Settings(host="0.0.0.0", unguarded=True), catalog)
    assert "without keys" in caplog.text


def test_one_key_is_enough_even_a_revoked_one(catalog):
    issued = catalog.keys.create("k", ["query"])
    catalog.keys.revoke(issued.key.key_id)
    guard(Settings(host="0.0.0.0"), catalog)


def test_an_unguarded_service_still_answers_no_page_of_another_site(tmp_path, encoder):
    settings = Settings(data=tmp_path, host="0.0.0.0", unguarded=True)
    with serving(settings, encoder) as served:
        assert served.client.get("/v1/index", headers={"Host": "box"}).status_code == 200
        page = {"Host": "box", "Origin": "https://other.example"}
        assert served.client.get("/v1/index", headers=page).status_code == 403
        served.service.catalog.keys.create("k", ["query"])
        assert served.client.get("/v1/index", headers={"Host": "box"}).status_code == 401


def test_the_first_start_writes_an_admin_key_and_the_next_does_not(catalog, tmp_path, caplog):
    path = tmp_path / "secret" / "admin.key"
    settings = Settings(host="0.0.0.0", admin_key_file=path)
    guard(settings, catalog)
    token = path.read_text().strip()
    assert catalog.keys.verify(token).scopes == {"admin"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) in caplog.text
    assert token not in caplog.text
    guard(settings, catalog)
    assert path.read_text().strip() == token
    assert [key.name for key in catalog.keys.every()] == ["first admin key"]
    assert not list(path.parent.glob(".*")), "nothing is left aside"


def test_a_first_key_that_cannot_be_written_is_not_made(catalog, tmp_path):
    (tmp_path / "file").write_text("no folder")
    settings = Settings(host="0.0.0.0", admin_key_file=tmp_path / "file" / "admin.key")
    with pytest.raises(OSError, match="file"):
        guard(settings, catalog)
    assert not catalog.keys.have_been_made()


def test_a_lost_key_file_is_not_made_again(catalog, tmp_path):
    path = tmp_path / "admin.key"
    guard(Settings(admin_key_file=path), catalog)
    path.unlink()
    guard(Settings(admin_key_file=path), catalog)
    assert not path.exists(), "whoever can remove a file must not get a key for it"
