"""The model that serves is the newest that was stored, and else the encoder's default."""

import logging

import pytest

from attribution.answer import CalibrationState
from attribution.calibration.shares.model import KIND, OLDER, ShareModel
from attribution.calibration.shares.newest import NewestShares, Shares, default_shares
from attribution.calibration.shares.recall import Recall
from attribution.catalog import Catalog
from models.card import BackboneCard, Card, PartCard, SharesCard
from models.images.preprocessing import Preprocessing

FITTED = ShareModel(offset=2.0)


def card(shares=None):
    return Card(
        name="thumbnail",
        backbone=BackboneCard(name="thumbnail"),
        preprocessing=Preprocessing(height=32, width=32),
        parts=(PartCard(name="whole", head="none", dimension=4),),
        shares=shares,
    )


def test_the_default_serves_until_something_is_stored(catalog):
    shares = NewestShares(catalog, "small", Shares(ShareModel(offset=1.0)), interval=0)
    assert shares.current() == Shares(ShareModel(offset=1.0), None)
    catalog.calibrations.add("another", KIND, FITTED.parameters, {})
    assert shares.current().fitted_at is None
    stored = catalog.calibrations.add("small", KIND, FITTED.parameters, {})
    assert shares.current() == Shares(FITTED, stored.created_at)
    newer = catalog.calibrations.add("small", KIND, ShareModel(offset=3.0).parameters, {})
    assert shares.current() == Shares(ShareModel(offset=3.0), newer.created_at)


def test_what_another_process_stored_is_there_at_the_start(catalog, tmp_path):
    with Catalog.open(tmp_path / "data") as beside:
        beside.calibrations.add("small", KIND, FITTED.parameters, {})
    assert NewestShares(catalog, "small").current().model == FITTED


def test_the_catalog_is_not_asked_at_every_query(catalog):
    shares = NewestShares(catalog, "small", interval=3600)
    assert shares.current().fitted_at is None
    catalog.calibrations.add("small", KIND, FITTED.parameters, {})
    assert shares.current().fitted_at is None


def test_a_fit_of_another_kind_is_not_used(catalog, caplog):
    catalog.calibrations.add("small", "shares-0", FITTED.parameters, {})
    assert NewestShares(catalog, "small").current().fitted_at is None
    assert not caplog.text


def test_a_fit_of_an_earlier_version_is_not_used_and_that_is_told_once(catalog, caplog):
    catalog.calibrations.add("small", OLDER[-1], {"evidence": 0.2}, {})
    shares = NewestShares(catalog, "small", interval=0)
    assert shares.current() == shares.current() == Shares(ShareModel())
    assert caplog.text.count("attribution calibrate") == 1
    catalog.calibrations.add("small", KIND, FITTED.parameters, {})
    assert shares.current().model == FITTED
    assert NewestShares(catalog, "small").current().model == FITTED
    assert caplog.text.count("attribution calibrate") == 1


def test_unusable_parameters_are_said_once_and_the_last_good_ones_serve(catalog, caplog):
    catalog.calibrations.add("small", KIND, FITTED.parameters, {})
    shares = NewestShares(catalog, "small", interval=0)
    assert shares.current().model == FITTED
    catalog.calibrations.add("small", KIND, {"temperature": 1.0}, {})
    with caplog.at_level(logging.WARNING):
        assert shares.current().model == shares.current().model == FITTED
    assert caplog.text.count("cannot be used") == 1


def test_a_catalog_that_cannot_be_read_leaves_what_serves(catalog, caplog):
    catalog.calibrations.add("small", KIND, FITTED.parameters, {})
    shares = NewestShares(catalog, "small", interval=0)
    shares.current()
    catalog.close()
    with caplog.at_level(logging.WARNING):
        assert shares.current().model == FITTED
    assert "could not look" in caplog.text


def test_the_name_joins_null_and_shares():
    named = Shares(FITTED).name(CalibrationState("2b7e51c09d3f", "fresh"))
    assert named == f"2b7e51c09d3f-{FITTED.id}"
    assert Shares(FITTED).name(CalibrationState(None, "missing")) is None


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (None, ShareModel()),
        (SharesCard(kind=KIND, parameters=FITTED.parameters), FITTED),
        (SharesCard(kind="shares-0", parameters=FITTED.parameters), ShareModel()),
        (SharesCard(kind=KIND, parameters={"offset": 1.0}), ShareModel()),
    ],
    ids=["no card", "ours", "another kind", "unusable"],
)
def test_the_default_is_that_of_the_card(declared, expected):
    assert default_shares(card(declared)) == Shares(expected)


def test_how_long_lists_must_be_comes_with_the_shares_that_it_was_measured_by(catalog, caplog):
    declared = SharesCard(
        kind=KIND, parameters=FITTED.parameters, recall={"90": 0.25}, fitted_on="drawings"
    )
    default = default_shares(card(declared))
    assert default.recall == Recall({90: 0.25}, "drawings")
    shares = NewestShares(catalog, "small", default, interval=0)
    catalog.calibrations.add("small", KIND, FITTED.parameters, {})
    assert shares.current().recall == Recall()  # nothing is known of lists by an older fit
    measured = Recall({80: 0.125}, "photographs")
    catalog.calibrations.add("small", KIND, FITTED.parameters, {"recall": measured.document})
    assert shares.current().recall == measured
    catalog.calibrations.add("small", KIND, FITTED.parameters, {"recall": {"depths": 1}})
    with caplog.at_level(logging.WARNING):
        assert shares.current().recall == measured
    assert "cannot be used" in caplog.text
