import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.catalog import InvalidCursor, cursors

ids = st.integers(min_value=0, max_value=2**63 - 1)


@given(ids)
def test_round_trip(vector_id):
    cursor = cursors.encode(vector_id)
    assert cursors.decode(cursor) == vector_id
    assert set(cursor) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@given(st.text())
def test_garbage(cursor):
    with pytest.raises(InvalidCursor):
        cursors.decode(cursor)


@given(ids, st.integers(0, 15), st.sampled_from("AZaz09-_+/= "))
def test_any_changed_character_is_noticed(vector_id, position, character):
    cursor = cursors.encode(vector_id)
    changed = cursor[:position] + character + cursor[position + 1 :]
    if changed == cursor:
        return
    with pytest.raises(InvalidCursor):
        cursors.decode(changed)
