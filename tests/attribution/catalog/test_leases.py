"""Leases end by themselves, and only who holds one publishes."""

from dataclasses import replace

import pytest

from attribution.catalog import INDEXER, Lease, Published
from tests.support.waiting import wait_for


def test_a_lease_is_one_holders_until_it_ends(catalog):
    leases = catalog.leases
    assert leases.find(INDEXER) is None
    assert leases.take(INDEXER, "first", 30)
    assert not leases.take(INDEXER, "second", 30)
    assert leases.take("another", "second", 30)
    leases.give_back(INDEXER, "second")  # not its own
    assert leases.find(INDEXER) == Lease(INDEXER, "first", valid=True)
    assert leases.take(INDEXER, "first", 0.05)
    wait_for(lambda: leases.take(INDEXER, "second", 30))
    assert not leases.take(INDEXER, "first", 30)
    leases.give_back(INDEXER, "second")
    assert leases.take(INDEXER, "first", 30)


def test_who_has_lost_the_lease_publishes_nothing(catalog):
    published = catalog.published
    new = Published(3, {"last_id": 2}, {"what": "null"}, b"\x93NUMPY")
    assert not published.put("model", new, holder="first")
    catalog.leases.take(INDEXER, "first", 30)
    assert published.at("model") is None
    assert published.put("model", new, holder="first")
    first = published.at("model")
    assert published.find("model") == new
    assert not published.put("model", new, holder="second")
    assert published.put("model", new, holder="first")
    assert published.at("model") > first
    assert not published.put("model", replace(new, generation=2), holder="first")  # never back
    assert published.find("model") == new
    catalog.leases.take(INDEXER, "first", 0.01)
    wait_for(lambda: not catalog.leases.find(INDEXER).valid)
    assert not published.put("model", Published(4, {}, {}, None), holder="first")
    assert published.find("model") == new
    assert published.find("other") is None
    assert not published.withdraw("model", holder="first")  # its lease has ended
    catalog.leases.take(INDEXER, "second", 30)
    for other in ("first", None):
        assert not published.withdraw("model", holder=other)
    assert published.find("model") == new
    assert published.withdraw("model", holder="second")
    assert (published.at("model"), published.find("model")) == (None, None)


def test_nothing_that_was_published_counts_in_another_epoch(catalog):
    catalog.leases.take(INDEXER, "first", 30)
    assert catalog.published.put("model", Published(9, {}, {}, None), holder="first")
    catalog.copies.renew_epoch()
    assert catalog.published.find("model") is None
    assert catalog.published.put("model", Published(1, {}, {}, None), holder="first")


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)  # SQLite lets one write at a time
def test_a_lease_is_renewed_while_a_long_write_is_under_way(catalog):
    catalog.leases.take(INDEXER, "first", 30)
    with catalog._database.write():
        assert catalog.leases.take(INDEXER, "first", 30)
        assert not catalog.leases.take(INDEXER, "second", 30)
