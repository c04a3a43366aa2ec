"""API keys: made once, checked, limited, expired, revoked; and never kept in the clear."""

import logging
import os
import re
import signal
from datetime import UTC, datetime, timedelta

import pytest

from attribution.catalog import Catalog, InvalidField, KeyNotFound
from attribution.catalog import keys as keys_module
from tests.support.catalogs import only_sqlite
from tests.support.forks import Fork

LATER = datetime.now(UTC) + timedelta(days=1)


def test_a_key_is_known_by_its_token_also_after_reopening(tmp_path, url):
    with Catalog.open(tmp_path, url=url) as catalog:
        issued = catalog.keys.create(
            "search page", ["query"], collections=["art", "prints"], expires_at=LATER
        )
        assert catalog.keys.verify(issued.token) == issued.key
    with Catalog.open(tmp_path, url=url) as catalog:
        assert catalog.keys.verify(issued.token) == issued.key
        assert catalog.keys.every() == (issued.key,)
    assert issued.key.scopes == {"query"}
    assert issued.key.collections == {"art", "prints"}
    assert issued.key.expires_at == LATER
    assert issued.key.state == "active"


def test_tokens_are_random_and_their_secrets_are_nowhere(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with Catalog.open(tmp_path) as catalog:
        issued = [catalog.keys.create("k", ["query"]) for _ in range(50)]
        for one in issued:
            catalog.keys.verify(one.token)
    secrets = [one.token.rpartition("_")[2] for one in issued]
    assert len(set(secrets)) == 50
    assert all(re.fullmatch(r"attr_[a-z2-7]{16}_[a-z2-7]{52}", one.token) for one in issued)
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert issued[0].key.key_id.encode() in held, "the file that should be searched"
    for one, secret in zip(issued, secrets, strict=True):
        assert secret.encode() not in held
        assert secret not in caplog.text
        assert secret not in repr(one)


@only_sqlite
@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("a" if token[-1] != "a" else "b"),
        lambda token: token[:-1],
        lambda token: token + "a",
        lambda token: token.upper(),
        lambda token: " " + token,
        lambda token: token + "\n",
        lambda token: token.replace("attr_", "key_"),
        lambda token: "attr_" + "a" * 16 + token[21:],
        lambda token: "",
        lambda token: "é" * 74,
    ],
)
def test_nothing_but_the_token_itself_is_taken(catalog, change):
    token = catalog.keys.create("k", ["query"]).token
    assert catalog.keys.verify(change(token)) is None
    assert catalog.keys.verify(token) is not None


def test_the_secret_of_one_key_opens_no_other(catalog):
    first, second = (catalog.keys.create("k", ["query"]).token for _ in range(2))
    assert catalog.keys.verify(first[:22] + second[22:]) is None


@only_sqlite
def test_known_and_unknown_ids_cost_one_comparison_in_constant_time(catalog, monkeypatch):
    token = catalog.keys.create("k", ["query"]).token
    compared = []
    compare = keys_module.hmac.compare_digest

    def counting(left, right):
        compared.append((len(left), len(right)))
        return compare(left, right)

    monkeypatch.setattr(keys_module.hmac, "compare_digest", counting)
    for tried in (token, token[:-1] + "2", "attr_" + "a" * 16 + "_" + "a" * 52):
        catalog.keys.verify(tried)
    assert compared == [(64, 64)] * 3


def test_an_expired_key_says_so(catalog, monkeypatch):
    token = catalog.keys.create("k", ["query"], expires_at=LATER).token

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz=None):
            return LATER

    monkeypatch.setattr("attribution.catalog.records.datetime", Tomorrow)
    key = catalog.keys.verify(token)
    assert key is not None
    assert key.state == "expired"


def test_a_revoked_key_stays_revoked_since_the_first_time(catalog):
    issued = catalog.keys.create("k", ["query"])
    revoked = catalog.keys.revoke(issued.key.key_id)
    assert revoked.state == "revoked"
    assert catalog.keys.revoke(issued.key.key_id) == revoked
    assert catalog.keys.verify(issued.token) == revoked
    assert catalog.keys.have_been_made(), "a catalog that has had keys is not one without"


def test_an_unknown_key_cannot_be_revoked(catalog):
    with pytest.raises(KeyNotFound, match="attribution keys list"):
        catalog.keys.revoke("key_nobody")


@only_sqlite
@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "x" * 129}),
        ("name", {"name": "a\0b"}),
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["query", "everything"]}),
        ("collections", {"collections": []}),
        ("collection", {"collections": ["No Such Name"]}),
        ("collections", {"scopes": ["admin"], "collections": ["art"]}),
        ("expires_at", {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}),
        ("expires_at", {"expires_at": datetime(2999, 1, 1)}),  # noqa: DTZ001 (refused for it)
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(catalog, field, arguments):
    with pytest.raises(InvalidField) as refused:
        catalog.keys.create(**{"name": "k", "scopes": ["query"], **arguments})
    assert refused.value.field == field
    assert not catalog.keys.have_been_made()


def test_the_first_key_is_made_once_and_kept_before_it_counts(catalog):
    kept = []
    first = catalog.keys.create_first("first", lambda issued: kept.append(issued.token))
    assert first is not None
    assert kept == [first.token]
    assert catalog.keys.verify(first.token).scopes == {"admin"}
    assert catalog.keys.create_first("second", pytest.fail) is None


def test_a_first_key_that_could_not_be_kept_is_not_made(catalog):
    def full(_):
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        catalog.keys.create_first("first", full)
    assert not catalog.keys.have_been_made()


def test_what_is_revoked_in_either_catalog_stays_revoked(catalog, tmp_path):
    kept, revoked_here, revoked_there, made_here = (
        catalog.keys.create(name, ["query"], collections=["a"], expires_at=LATER)
        for name in ("kept", "here", "there", "later")
    )
    with Catalog.open(tmp_path / "backup") as backup:
        backup.keys.take_over(catalog.keys.records()[:3])
        backup.keys.revoke(revoked_there.key.key_id)
        catalog.keys.revoke(revoked_here.key.key_id)
        backup.keys.take_over(catalog.keys.records())
        states = {key.name: key.state for key in backup.keys.every()}
        assert states == {
            "kept": "active", "here": "revoked", "there": "revoked", "later": "active",
        }  # fmt: skip
        assert backup.keys.verify(kept.token) == kept.key
        assert backup.keys.verify(made_here.token) == made_here.key


def show_a_key_and_die(folder):
    with Catalog.open(folder) as catalog:
        print(catalog.keys.create("k", ["query"]).token, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_key_that_was_shown_survives_kill_9(tmp_path):
    with Fork(show_a_key_and_die, tmp_path) as process:
        out, err = process.communicate()
    assert process.returncode == -9, err
    with Catalog.open(tmp_path) as catalog:
        assert catalog.keys.verify(out.strip()) is not None


def test_changes_are_counted_and_found_within_collections(catalog, make_source):
    catalog.put_collection("art")
    for number, collection in enumerate(["default", "art", "default", "art", "art"]):
        catalog.add("m1", [make_source(number, collection=collection)])
    art = frozenset({"art"})
    assert catalog.count_changes(art, until=5) == 3
    assert catalog.count_changes(art, after=2, until=4) == 1
    assert [catalog.nth_change(art, n) for n in (1, 2, 3, 4)] == [2, 4, 5, None]
    assert catalog.count_changes(frozenset({"nowhere"}), until=5) == 0
