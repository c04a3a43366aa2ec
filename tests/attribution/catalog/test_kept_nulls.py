"""What is kept for the next start: the latest of each encoder."""

from attribution.catalog import KeptArrays


def test_the_latest_of_each_encoder_is_found(catalog):
    first, then = KeptArrays({"what": "null", "format": 3}, 7, b"\0arrays"), KeptArrays({}, 9, b"")
    assert catalog.kept_nulls.find("one") is None
    catalog.kept_nulls.put("one", first)
    assert catalog.kept_nulls.find("one") == first
    catalog.kept_nulls.put("one", then)
    catalog.kept_nulls.put("two", first)
    assert (catalog.kept_nulls.find("one"), catalog.kept_nulls.find("two")) == (then, first)
