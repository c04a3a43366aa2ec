"""Encoders registered and activated: full coverage always, in every order of events."""

import numpy as np
import pytest

from attribution.catalog import (
    ActiveEncoderLeftOut,
    CoverageIncomplete,
    EncoderActive,
    EncoderNotRegistered,
    InvalidField,
    RegisteredEncoder,
    Registry,
)

OLD = RegisteredEncoder("old", "bundled", None)
NEW = RegisteredEncoder("new", "/somewhere/encoder", None)
ROW = np.array([0.5, 0.25, 0.125], np.float32)


def fill(catalog, model_id):
    lacking = catalog.encoders.lacking(model_id)
    catalog.encoders.fill(model_id, {source.vector_id: ROW for source in lacking})


def test_a_catalog_begins_without_any(catalog):
    assert catalog.encoders.registry() == Registry()


def test_registered_again_an_encoder_is_found_at_its_new_place(catalog):
    catalog.encoders.register(NEW)
    catalog.encoders.register(OLD)
    moved = RegisteredEncoder("new", "moco-v2", "/elsewhere/weights.pth")
    catalog.encoders.register(moved)
    assert catalog.encoders.registry().encoders == (moved, OLD)
    assert catalog.encoders.registry().find("new") == moved
    assert catalog.encoders.registry().find("other") is None


def test_what_cannot_be_stored_is_refused(catalog):
    for wrong in ({"model_id": ""}, {"name": "x" * 5000}, {"weights": "nul\0"}):
        fields = {"model_id": "m", "name": "n", "weights": None} | wrong
        with pytest.raises(InvalidField):
            catalog.encoders.register(RegisteredEncoder(**fields))


def test_activation_waits_for_full_coverage(catalog, make_source):
    catalog.add("old", [make_source(number) for number in range(3)])
    catalog.encoders.register(NEW)
    with pytest.raises(CoverageIncomplete, match=r"0 of 3 sources.*other 3"):
        catalog.encoders.activate("new")
    assert catalog.encoders.registry().active is None
    fill(catalog, "new")
    assert catalog.encoders.activate("new").active == "new"


def test_activation_needs_an_encoder_that_can_be_loaded(catalog):
    with pytest.raises(EncoderNotRegistered, match="reembed"):
        catalog.encoders.activate("new")


def test_one_goes_back_to_the_previous_and_forth_again(catalog):
    for encoder in (OLD, NEW):
        catalog.encoders.register(encoder)
    catalog.encoders.activate("old")
    for wanted, other in (("new", "old"), ("old", "new"), ("new", "old")):
        registry = catalog.encoders.activate(wanted)
        assert (registry.active, registry.previous) == (wanted, other)
        assert catalog.encoders.activate(wanted) == registry, "again: nothing changes"


def test_once_active_no_source_comes_without_its_row(catalog, make_source):
    catalog.encoders.register(NEW)
    catalog.encoders.activate("new")
    both = [make_source(1, others={"new": ROW}), make_source(2)]
    with pytest.raises(ActiveEncoderLeftOut, match="'new'"):
        catalog.add("old", both)
    assert catalog.sources().items == ()
    catalog.add("old", both[:1])
    catalog.add("new", [make_source(2)])
    assert catalog.encoders.coverage("new").full
    assert catalog.encoders.coverage("old").embedded == 1


def test_rows_of_several_encoders_are_one_change(catalog, make_source):
    added = catalog.add("old", [make_source(1, others={"new": ROW})])
    assert added.generation == 1
    vector_id = added.items[0].source.vector_id
    assert catalog.embeddings("new", [vector_id]).tolist() == [ROW.tolist()]
    assert catalog.embeddings("old", [vector_id]).shape == (1, 3)
    again = catalog.add("old", [make_source(1, others={"new": ROW, "third": ROW})])
    assert (again.generation, again.items[0].created) == (2, False)
    assert catalog.encoders.coverage("third").full
    assert catalog.add("old", [make_source(1, others={"new": ROW})]).generation == 2


def test_a_row_of_another_encoder_must_fit_too(catalog, make_source):
    catalog.add("old", [make_source(1, others={"new": ROW})])
    with pytest.raises(InvalidField, match="'new' gives 3"):
        catalog.add("old", [make_source(2, others={"new": np.ones(5, np.float32)})])
    with pytest.raises(InvalidField, match="finite"):
        catalog.add("old", [make_source(2, others={"new": ROW * np.nan})])
    assert len(catalog.sources().items) == 1


def test_the_active_encoder_is_not_dropped_and_others_are_forgotten(catalog, make_source):
    for encoder in (OLD, NEW):
        catalog.encoders.register(encoder)
    catalog.add("old", [make_source(1, others={"new": ROW})])
    catalog.encoders.activate("old")
    catalog.encoders.activate("new")
    with pytest.raises(EncoderActive, match="activate another"):
        catalog.encoders.drop("new")
    assert catalog.encoders.drop("old") == 1
    assert catalog.encoders.registry() == Registry((NEW,), "new", None)
    assert catalog.encoders.coverage("old").embedded == 0
    with pytest.raises(EncoderNotRegistered, match="'old' is not registered"):
        catalog.encoders.drop("old")


def test_encoders_come_in_the_order_of_their_characters(catalog, make_source):
    for name in ("ab", "a-b", "B", "a"):
        catalog.encoders.register(RegisteredEncoder(name, "bundled", None))
        catalog.add(name, [make_source(1)])
    assert [encoder.model_id for encoder in catalog.encoders.registry().encoders] == [
        "B", "a", "a-b", "ab",
    ]  # fmt: skip
    assert catalog.models() == ("B", "a", "a-b", "ab")
