"""What only a real PostgreSQL server shows: its lock, its errors, its text and lost connections."""

import hashlib
import sys
import time
from contextlib import closing

import numpy as np
import psycopg
import pytest

from attribution.catalog import (
    Catalog,
    CatalogBusy,
    CatalogMissing,
    CatalogUnusable,
    NewSource,
    StorageFull,
    database,
)
from tests.support.forks import Fork
from tests.support.postgresql import PASSWORD


@pytest.fixture
def url(postgresql_url):
    return postgresql_url


@pytest.fixture
def server(url):
    """A connection of somebody else to the same database."""
    plain = url.replace("+psycopg", "")
    with closing(psycopg.connect(plain, autocommit=True)) as connection:
        yield connection


def source(number):
    return NewSource(
        collection="default",
        sha256=hashlib.sha256(b"image %d" % number).hexdigest(),
        width=1,
        height=1,
        format="png",
        embedding=np.array([number, 1.0], np.float32),
        preview=b"\xff\xd8\xff preview %d" % number,
    )


def write_for_a_while(folder, url, first, last):
    """Add, change and delete as several processes do, and say how many changes that made."""
    changes = 0
    with Catalog.open(folder, url=url) as catalog:
        shared = catalog.add("m1", [source(500)]).items[0]
        changes += shared.created
        for number in range(first, last):
            added = catalog.add("m1", [source(number), source(number + 1000)])
            catalog.update(added.items[0].source.source_id, {"title": "x"})
            catalog.delete(source_ids=[added.items[1].source.source_id])
            changes += 4
    print(changes)


def test_who_follows_the_changes_of_several_processes_misses_none(tmp_path, url):
    with Catalog.open(tmp_path / "data", url=url) as catalog:
        writers = [
            Fork(write_for_a_while, tmp_path / "data", url, 10 * n, 10 * n + 4) for n in range(3)
        ]
        seen = []
        while True:
            running = any(writer.poll() is None for writer in writers)
            fresh = catalog.changes(seen[-1].generation if seen else 0, limit=7)
            seen += fresh
            if not (running or fresh):
                break
            time.sleep(0 if fresh else 0.01)
        told = [writer.communicate() for writer in writers]
        for writer in writers:
            writer.close()
        counted = sorted(int(out) for out, _ in told)
        assert counted == [16, 16, 17], "the same bytes are one source, whoever adds them"
        assert [change.generation for change in seen] == list(range(1, 50))
        live = {change.vector_id for change in seen if change.operation == "add"}
        live -= {change.vector_id for change in seen if change.operation == "remove"}
        assert live == set(catalog.live_embeddings("m1").vector_ids.tolist())
        assert catalog.checks.log().gaps == 0


def test_a_read_sees_one_moment_and_a_write_the_last_commit(catalog, make_source):
    with catalog._database.read() as connection:
        before = connection.exec_driver_sql("SELECT generation FROM meta").scalar()
        catalog.add("m1", [make_source(1)])
        assert connection.exec_driver_sql("SELECT generation FROM meta").scalar() == before == 0
    with catalog._database.write() as connection:
        levels = connection.exec_driver_sql("SHOW transaction_isolation").scalar()
        assert levels == "read committed", "the server's own default is serializable"
        assert connection.exec_driver_sql("SELECT generation FROM meta").scalar() == 1


def test_another_writer_makes_it_busy_for_a_while(catalog, server, monkeypatch):
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    with catalog._database.write() as connection:
        lock = connection.exec_driver_sql(
            "SELECT objid, classid FROM pg_locks"
            " WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        ).one()
    number = lock.objid + (lock.classid << 32)
    server.execute("SELECT pg_advisory_lock(%s)", (number,))
    with pytest.raises(CatalogBusy, match="try again"):
        catalog.put_collection("artists")
    assert catalog.collections(), "reads wait for nobody"
    server.execute("SELECT pg_advisory_unlock(%s)", (number,))
    assert catalog.put_collection("artists").created


@pytest.mark.parametrize(
    ("state", "meaning"),
    [
        ("53100", StorageFull),
        ("40P01", CatalogBusy),
        ("25006", CatalogUnusable),
        ("42501", CatalogUnusable),
        ("57P01", CatalogUnusable),
        ("XX001", psycopg.errors.DataCorrupted),
    ],
)
def test_what_the_server_complains_of_has_a_meaning(catalog, state, meaning):
    def complain():
        with catalog._database.write() as connection:
            connection.exec_driver_sql(
                f"DO $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{state}'; END $$"
            )

    with pytest.raises(Exception, match=r"so it is|free some space|try again") as raised:
        complain()
    assert isinstance(getattr(raised.value, "orig", raised.value), meaning)
    assert catalog.put_collection("afterwards").created


def test_connections_that_are_lost_are_made_anew(catalog, server, make_source):
    def drop_everybody():
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'attribution'"
        )

    def lose_it_on_the_way():
        with catalog._database.write() as connection:
            connection.exec_driver_sql("UPDATE collections SET description = 'half'")
            drop_everybody()
            connection.exec_driver_sql("SELECT 1")

    catalog.add("m1", [make_source(1)])
    with pytest.raises(CatalogUnusable, match=r"terminating connection|closed"):
        lose_it_on_the_way()
    assert catalog.collection("default").description == ""
    drop_everybody()
    assert catalog.add("m1", [make_source(2)]).generation == 2


def test_numbers_beyond_32_bits(catalog, server, make_source):
    server.execute("SELECT setval('sources_vector_id_seq', %s)", (2**40,))
    server.execute("UPDATE meta SET generation = %s", (2**41,))
    added = catalog.add("m1", [make_source(1), make_source(2)])
    first, second = (item.source for item in added.items)
    assert (first.vector_id, added.generation) == (2**40 + 1, 2**41 + 2)
    assert [change.vector_id for change in catalog.changes(2**41)] == [2**40 + 1, 2**40 + 2]
    page = catalog.sources(limit=1)
    assert catalog.sources(limit=1, cursor=page.next_cursor).items == (second,)
    asked = np.array([2**40 + 2, -(2**63), 2**63 - 1])
    assert catalog.by_vector_ids(asked) == {2**40 + 2: second}
    assert catalog.delete(source_ids=[first.source_id]).generation == 2**41 + 3
    assert catalog.removed_after(2**41).tolist() == [2**40 + 1]


def test_a_database_that_cannot_hold_every_text_is_refused(postgresql, tmp_path):
    with postgresql.connect() as server:
        server.execute("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII'"
                       " LOCALE_PROVIDER libc LOCALE 'C' STRATEGY FILE_COPY")  # fmt: skip
    with pytest.raises(CatalogUnusable, match="createdb --encoding=UTF8"):
        Catalog.open(tmp_path, url=postgresql.url("ascii"))


def test_a_database_without_a_catalog_is_named_without_the_password(postgresql, tmp_path):
    with pytest.raises(
        CatalogMissing, match=r"'postgres' on .*ATTRIBUTION_DATABASE_URL"
    ) as missing:
        Catalog.existing(tmp_path, url=postgresql.url("postgres"))
    assert PASSWORD not in str(missing.value)


@pytest.mark.parametrize(
    ("spelt", "said"),
    [
        ("postgresql+psycopg://u:{}@localhost:1/name", "refused"),
        ("postgresql://u:{}@/name?host=/nowhere", "No such file"),
        ("postgres://u:{}@localhost:1/name?connect_timeout=x", "connect_timeout"),
        ("postgresql://u:{}@localhost/name?wrong=1", "wrong"),
        ("postgresql://u:x@{}@localhost/name", "%40"),
        ("postgresql://localhost:{}/name", "its port is no number"),
        ("postgresql://u:1/{}@localhost:1/name", "%2F|refused"),
    ],
)
def test_a_url_that_does_not_work_says_why_and_shows_no_password(tmp_path, spelt, said):
    with pytest.raises(CatalogUnusable, match=said) as refused:
        Catalog.open(tmp_path, url=spelt.format(PASSWORD))
    assert PASSWORD not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_the_driver_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(CatalogUnusable, match=r"pip install 'attribution\[postgres\]'"):
        Catalog.open(tmp_path, url="postgresql://localhost/name")
