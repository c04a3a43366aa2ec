"""`attribution keys`: make, list and revoke, beside a running service too."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from app.cli.failures import BadInvocation
from app.cli.keys import expiry
from app.settings import Settings
from attribution.catalog import Catalog

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def data(tmp_path):
    Catalog.open(tmp_path / "data").close()
    return tmp_path / "data"


def test_a_key_is_shown_once_and_works(attribution, data):
    done = attribution(
        *("keys", "create", "web shop", "-s", "query", "-s", "curate", "-c", "default"),
        *("--expires", "90d", "--data", data),
    )
    assert done.code == 0, done.err
    assert re.fullmatch(r"attr_[a-z2-7]{16}_[a-z2-7]{52}\n", done.out)
    assert "cannot be shown again" in done.err
    with Catalog.open(data) as catalog:
        key = catalog.keys.verify(done.out.strip())
    assert key is not None
    assert (key.name, key.scopes, key.collections) == (
        "web shop", {"query", "curate"}, {"default"},
    )  # fmt: skip
    assert timedelta(days=89) < key.expires_at - datetime.now(UTC) < timedelta(days=91)
    listed = attribution("keys", "list", "--data", data)
    assert "web shop" in listed.out
    assert done.out.strip() not in listed.out


def test_json_is_for_machines(attribution, data):
    made = attribution("keys", "create", "ci", "--data", data, "--json").document
    assert made["scopes"] == ["query"]
    assert made["collections"] is None
    listed = attribution("keys", "list", "--data", data, "--json").document
    assert listed == [{name: value for name, value in made.items() if name != "key"}]
    revoked = attribution("keys", "revoke", made["key_id"], "--data", data, "--json").document
    assert revoked["state"] == "revoked"
    assert attribution("keys", "list", "--data", data, "--json").document == [revoked]


def test_a_collection_that_does_not_exist_yet_is_pointed_out(attribution, data):
    done = attribution("keys", "create", "k", "-c", "later", "--data", data)
    assert done.code == 0
    assert "no collection 'later' yet" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "k", "-s", "everything"), "everything"),
        (("create", "k", "-s", "admin", "-c", "art"), "cannot be limited"),
        (("create", "k", "-c", "No Such"), "a-z"),
        (("create", "k", "--expires", "soon"), "90d"),
        (("create", "k", "--expires", "2020-01-01"), "past"),
        (("create", " "), "whose key"),
        (("create",), "Missing argument"),
        (("revoke",), "Missing argument"),
        (("forget", "k"), "forget"),
    ],
)
def test_what_makes_no_sense_is_exit_code_2_and_makes_nothing(attribution, data, arguments, told):
    done = attribution("keys", *arguments, *(() if arguments[0] == "forget" else ("--data", data)))
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err
    with Catalog.existing(data) as catalog:
        assert not catalog.keys.have_been_made()


def test_an_unknown_key_cannot_be_revoked(attribution, data):
    done = attribution("keys", "revoke", "key_nobody", "--data", data)
    assert done.code == 1
    assert "attribution keys list" in done.err


def test_each_command_teaches(attribution):
    for command in ("create", "list", "revoke"):
        done = attribution("keys", command, "--help")
        assert done.code == 0
        assert "--data" in done.out
        assert "--json" in done.out


def test_a_running_service_follows_at_once(attribution, data):
    # Imported here: the rest of these tests need no service.
    from tests.support.encoders import thumbnail_encoder  # noqa: PLC0415
    from tests.support.service import serving  # noqa: PLC0415

    settings = Settings(data=data, inference_threads=1)
    with serving(settings, thumbnail_encoder()) as served:
        assert served.client.get("/v1/index").status_code == 200
        made = attribution("keys", "create", "k", "--data", data, "--json").document
        headers = {"Authorization": f"Bearer {made['key']}"}
        assert served.client.get("/v1/index").status_code == 401
        assert served.client.get("/v1/index", headers=headers).status_code == 200
        attribution("keys", "revoke", made["key_id"], "--data", data)
        assert served.client.get("/v1/index", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90d", NOW + timedelta(days=90)),
        ("12h", NOW + timedelta(hours=12)),
        ("2030-01-31", datetime(2030, 1, 31, tzinfo=UTC)),
        ("2030-01-31T10:00:00+02:00", datetime(2030, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_expiry_is_a_date_or_a_time_from_now(text, expected):
    assert expiry(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "d", "5 days", "1w", "tomorrow", "2030-13-01"])
def test_other_expiries_are_refused(text):
    with pytest.raises(BadInvocation):
        expiry(text, NOW)
