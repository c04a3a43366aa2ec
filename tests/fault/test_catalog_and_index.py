"""Catalog and index agree with a dict, ten sequences long; `make soak` tries more."""

from tests.fault.catalog_machine import check


def test_catalog_and_index_agree_with_a_dict():
    check(examples=10, steps=25)
