"""P-values of several strata: counting, the largest, and the promise itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.calibration.null import (
    SMALLEST_STRATUM,
    Null,
    StratumNull,
    counted,
    null_of,
    warn_of_small_strata,
)
from models.background import GENERATED, LAUNDERED, PHOTO

NUMBERS = st.floats(-5, 5, width=32)


def null_from(*strata):
    names = ("photo", "generated", "laundered")
    return Null(
        tuple(
            StratumNull(name, np.sort(np.float32(values)))
            for name, values in zip(names, strata, strict=False)
        ),
        generation=0,
    )


@given(
    st.lists(st.lists(NUMBERS, max_size=20), min_size=1, max_size=3),
    st.lists(st.floats(-6, 6, width=32), min_size=1, max_size=8),
)
def test_the_p_value_is_the_largest_of_those_counted_in_each_stratum(strata, queries):
    p = null_from(*strata).p_values(np.float32(queries))
    slow = [
        max((1 + sum(x >= q for x in np.float32(values))) / (len(values) + 1) for values in strata)
        for q in np.float32(queries)
    ]
    assert p.tolist() == pytest.approx(slow)


@given(
    st.lists(st.lists(NUMBERS, min_size=1, max_size=20), min_size=1, max_size=3),
    NUMBERS,
    NUMBERS,
)
def test_a_larger_statistic_never_has_a_larger_p_value(strata, one, other):
    low, high = null_from(*strata).p_values(np.float32(sorted([one, other])))
    assert high <= low


def draw(rng, stratum, n):
    """Statistics whose law differs by stratum: shifted, skewed, wider."""
    law = (rng.normal, lambda size: rng.gumbel(0.3, 1.0, size), lambda size: rng.normal(0, 2, size))
    return law[stratum](size=n)


@settings(max_examples=12, deadline=None)
@given(
    query=st.sampled_from([PHOTO, GENERATED, LAUNDERED]),
    sizes=st.tuples(st.integers(100, 300), st.integers(100, 200), st.integers(100, 200)),
    seed=st.integers(0, 100),
)
def test_a_query_exchangeable_with_any_stratum_keeps_the_promise(query, sizes, seed):
    """P(p <= alpha) <= alpha on average over background draws, whichever stratum it is of."""
    rng = np.random.default_rng(seed)
    runs = 600
    p_values = np.empty(runs)
    for run in range(runs):
        null = null_from(*(draw(rng, stratum, n) for stratum, n in enumerate(sizes)))
        p_values[run] = null.p_values(np.float32(draw(rng, query, 1)))[0]
    for alpha in (0.01, 0.05, 0.1, 0.5):
        rate, error = (p_values <= alpha).mean(), (alpha * (1 - alpha) / runs) ** 0.5
        assert rate <= alpha + 4.5 * error


def test_p_values_of_one_stratum_are_uniform():
    rng = np.random.default_rng(0)
    found = np.empty(4000)
    for run in range(len(found)):
        values = rng.gumbel(size=100)
        found[run] = null_from(values[:99]).p_values(np.float32(values[99:]))[0]
    for alpha in (0.05, 0.25, 0.5, 0.9):
        assert abs((found <= alpha).mean() - alpha) < 0.03


def test_ties_count_against_the_query():
    assert null_from(np.ones(99)).p_values(np.float32([1.0]))[0] == 1.0


def test_an_empty_gallery_rejects_nothing():
    null = null_from(np.full(50, -np.inf), np.full(20, -np.inf))
    assert null.p_values(np.float32([-np.inf]))[0] == 1.0
    assert null.smallest_alpha() == pytest.approx(1 / 21)


def test_a_stratum_of_which_all_are_copies_allows_no_attribution():
    null = null_from(np.zeros(200), [])
    assert null.p_values(np.float32([9.0]))[0] == 1.0
    assert null.smallest_alpha() == 1.0


def test_rows_are_sorted_into_strata_without_copies():
    strata = np.repeat([PHOTO, GENERATED], 150).astype(np.uint8)
    statistics = np.arange(300, dtype=np.float32)[::-1]
    copies = np.zeros(300, bool)
    copies[[0, 1, 160]] = True
    photo, generated = null_of(statistics, strata, copies, 7).strata
    assert (photo.name, photo.copies, len(photo.statistics)) == ("photo", 2, 148)
    assert (generated.name, generated.copies, len(generated.statistics)) == ("generated", 1, 149)
    assert (np.diff(photo.statistics) > 0).all()
    assert photo.statistics[-1] == 297


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ((5000, 600, 1000), [PHOTO, GENERATED, LAUNDERED]),
        ((5000, 0, SMALLEST_STRATUM), [PHOTO, LAUNDERED]),
        ((5000, SMALLEST_STRATUM - 1, 300), [PHOTO, LAUNDERED]),
        ((30, 20, 0), [PHOTO]),
    ],
)
def test_small_strata_are_left_out_with_a_warning(sizes, wanted, caplog):
    strata = np.repeat(np.arange(3), sizes).astype(np.uint8)
    assert counted(strata) == wanted
    warn_of_small_strata(strata)
    assert len(caplog.records) == sum(size > 0 for size in sizes) - len(wanted)


def test_whether_a_stratum_counts_does_not_depend_on_the_copies_found():
    strata = np.repeat([PHOTO, GENERATED], [400, SMALLEST_STRATUM]).astype(np.uint8)
    copies = strata == GENERATED
    null = null_of(np.zeros(len(strata), np.float32), strata, copies, 0)
    assert [stratum.name for stratum in null.strata] == ["photo", "generated"]
