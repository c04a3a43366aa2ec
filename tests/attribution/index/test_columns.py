"""Rows that ask for others are not asked for by what corrects them for hubs."""

import numpy as np

from attribution.index.columns import as_queries, long_columns


def test_a_correction_for_hubs_is_as_long_in_a_query_as_any_column(unit_rows):
    rows = unit_rows(200)
    assert not long_columns(rows)[0].any()
    np.testing.assert_array_equal(as_queries(rows), rows)

    corrected = np.concatenate([rows, np.full((200, 1), -4.0, np.float32)], axis=1)
    long, usual = long_columns(corrected)
    assert np.flatnonzero(long).tolist() == [rows.shape[1]]
    queries = as_queries(corrected)
    np.testing.assert_array_equal(queries[:, :-1], rows)
    np.testing.assert_allclose(queries[:, -1], usual)
    assert 0.1 < usual * np.sqrt(rows.shape[1]) < 3  # as in a row of about unit length
