import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.catalog import InvalidCursor, cursors

SECRET = bytes(range(32))
ids = st.integers(min_value=0, max_value=2**63 - 1)


@given(ids)
def test_round_trip(vector_id):
    cursor = cursors.encode(vector_id, SECRET)
    assert cursors.decode(cursor, SECRET) == vector_id
    assert set(cursor) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@given(st.text())
def test_garbage(cursor):
    with pytest.raises(InvalidCursor):
        cursors.decode(cursor, SECRET)


@given(ids, st.integers(0, 23), st.sampled_from("AZaz09-_+/= "))
def test_any_changed_character_is_noticed(vector_id, position, character):
    cursor = cursors.encode(vector_id, SECRET)
    changed = cursor[:position] + character + cursor[position + 1 :]
    if changed == cursor:
        return
    with pytest.raises(InvalidCursor):
        cursors.decode(changed, SECRET)


@given(ids)
def test_a_cursor_of_another_catalog_is_refused(vector_id):
    with pytest.raises(InvalidCursor):
        cursors.decode(cursors.encode(vector_id, bytes(32)), SECRET)


def test_cursors_of_neighbours_tell_nothing_of_their_distance():
    made = [base64.urlsafe_b64decode(cursors.encode(number, SECRET)) for number in range(200)]
    for position in range(18):
        assert len({cursor[position] for cursor in made}) > 50
