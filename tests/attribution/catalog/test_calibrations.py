"""Calibrations: the newest of an encoder and a kind, seen by every process on the catalog."""

from datetime import UTC, datetime

from attribution.catalog import Catalog


def test_the_newest_of_an_encoder_and_a_kind(catalog):
    assert catalog.calibrations.newest("m1", "shares") is None
    first = catalog.calibrations.add("m1", "shares", {"a": 1.5}, {"log score": 0.4})
    catalog.calibrations.add("m2", "shares", {"a": 7.0}, {})
    catalog.calibrations.add("m1", "other", {"a": 8.0}, {})
    assert catalog.calibrations.newest("m1", "shares") == first
    assert first.parameters == {"a": 1.5}
    assert first.created_at <= datetime.now(UTC)
    second = catalog.calibrations.add("m1", "shares", {"a": 2.5}, {})
    assert catalog.calibrations.newest("m1", "shares") == second


def test_what_is_known_already_is_no_news(catalog):
    kept = catalog.calibrations.add("m1", "shares", {}, {})
    assert catalog.calibrations.newest("m1", "shares", after=kept.calibration_id) is None
    assert catalog.calibrations.newest("m1", "shares", after=kept.calibration_id - 1) == kept


def test_another_process_sees_it_and_it_outlives_a_restart(catalog, tmp_path, url):
    with Catalog.open(tmp_path / "data", url=url) as beside:
        kept = catalog.calibrations.add("m1", "shares", {"a": 1.0}, {"n": [1, 2]})
        assert beside.calibrations.newest("m1", "shares") == kept
    catalog.close()
    with Catalog.open(tmp_path / "data", url=url) as again:
        assert again.calibrations.newest("m1", "shares") == kept
