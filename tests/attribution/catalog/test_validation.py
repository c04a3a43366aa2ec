import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.catalog import InvalidField, validation


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("uri", "x" * 2049),
        ("title", "x" * 513),
        ("creator", "a\0b"),
        ("licence", "\udc80"),
        ("title", b"bytes"),
        ("sha256", "A" * 64),
        ("sha256", "a" * 63),
        ("sha256", None),
        ("collection", "Upper"),
        ("format", ""),
        ("width", 0),
        ("width", True),
        ("height", 2**31),
        ("height", 3.0),
        ("preview", b""),
        ("preview", b"\x89PNG"),
        ("embedding", np.ones(3)),
        ("embedding", np.ones((1, 3), dtype=np.float32)),
        ("embedding", np.empty(0, dtype=np.float32)),
        ("embedding", np.array([np.nan], dtype=np.float32)),
        ("embedding", [1.0]),
        ("metadata", []),
        ("metadata", {"a": float("nan")}),
        ("metadata", {"a": 2**63}),
        ("metadata", {"a": "\0"}),
        ("metadata", {"\ud800": 1}),
        ("metadata", {1: "a"}),
        ("metadata", {"a": {1, 2}}),
        ("metadata", {"a": "x" * validation.METADATA_BYTES}),
        ("metadata", nested(1000)),
    ],
)
def test_a_bad_field_is_named(make_source, field, value):
    with pytest.raises(InvalidField) as caught:
        validation.new_source(make_source(1, **{field: value}))
    assert caught.value.field == field
    assert caught.value.reason in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("uri", "x" * 2048), ("title", "😀" * 512), ("title", ""), ("uri", None), ("metadata", {})],
)
def test_values_at_the_limits_are_taken(make_source, field, value):
    assert validation.new_source(make_source(1, **{field: value}))[field] == value


@pytest.mark.parametrize("value", ["", "x" * 129, "a\0", None])
def test_bad_model_id(value):
    with pytest.raises(InvalidField, match="model_id"):
        validation.model_id(value)


def test_metadata_of_exactly_the_limit_fits():
    padding = "é" * ((validation.METADATA_BYTES - len('{"a":""}')) // 2)
    assert validation.json_object("metadata", {"a": padding}) == {"a": padding}
    with pytest.raises(InvalidField, match="16386 bytes"):
        validation.json_object("metadata", {"a": padding + "é"})


plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    plain_text,
)
objects = st.dictionaries(
    plain_text,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_text, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(objects)
def test_json_is_kept_as_any_json_reader_would_give_it_back(value):
    assert validation.json_object("metadata", value) == json.loads(json.dumps(value)) == value
