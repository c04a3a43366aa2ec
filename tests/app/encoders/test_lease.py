"""A lease that a process keeps: whether it is held for sure, and whether another has it."""

from __future__ import annotations

from contextlib import closing

from app.encoders.lease import HeldLease
from attribution.catalog import INDEXER, Catalog
from tests.support.waiting import wait_for


def test_it_is_left_only_to_another_and_had_again_where_nobody_took_it(tmp_path):
    with Catalog.open(tmp_path) as catalog:
        one, two = (HeldLease(catalog, INDEXER, name, seconds=30) for name in ("one", "two"))
        with closing(two):
            with closing(one):
                for lease in (one, two):
                    lease.start()
                assert [lease.held() for lease in (one, two)] == [True, False]
                assert [lease.taken_by_another for lease in (one, two)] == [False, True]
                one._until = float("-inf")  # as after some time without the catalog
                assert (one.held(), one.taken_by_another) == (False, False)
                one._renew()
                assert one.held()
                assert not catalog.leases.take(INDEXER, "three", 30)
            assert not one.held()
            assert catalog.leases.find(INDEXER) is None
            two._renew()
            assert (two.held(), two.taken_by_another) == (True, False)
        three = HeldLease(catalog, INDEXER, "three", seconds=2)
        assert catalog.leases.take(INDEXER, "four", 30)
        with closing(three):
            three.start()
            assert not three.held()
            catalog.leases.give_back(INDEXER, "four")
            wait_for(three.held)
