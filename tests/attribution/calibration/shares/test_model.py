"""Shares add up, keep the order, know nothing of nothing, and follow the formula."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import lomax

from attribution.calibration.shares.model import BadParameters, ShareModel

models = st.builds(
    ShareModel,
    no_source=st.floats(0.01, 0.99),
    evidence=st.floats(1e-3, 9),
    lost=st.floats(0, 1),
    offset=st.floats(-3, 3),
    scale=st.floats(0.2, 5),
    exponent=st.floats(0.2, 4),
    lapse=st.floats(0, 1),
    breadth=st.floats(0.2, 5),
    hidden=st.floats(0, 1),
)


p_values = st.floats(1e-4, 1)


def slow(model, statistics, p_value):
    """One query in words."""
    chance = model.no_source  # the density of a uniform p-value is 1
    whole = lomax(1, scale=model.evidence)  # on 0 to infinity, cut off at 1
    found = whole.pdf(p_value) / whole.cdf(1)
    signal = (1 - model.no_source) * (model.lost * 1 + (1 - model.lost) * found)
    none = chance / (chance + signal)
    found = sorted(t for t in statistics if math.isfinite(t))
    cap = found[-2] if len(found) > 1 else found[-1]
    weights, spread = [], []
    for t in statistics:
        height = (t - model.offset) / model.scale
        weights.append(math.log1p(math.exp(height)) ** model.exponent)
        spread.append(math.exp((min(t, cap) - cap) / model.breadth))
    faint = model.lapse * sum(weights)
    beyond = model.hidden * faint if len(found) == len(statistics) else 0.0
    weights = [w + (faint - beyond) * v / sum(spread) for w, v in zip(weights, spread, strict=True)]
    weights += [beyond]
    return np.array([*((1 - none) * np.array(weights) / sum(weights)), none])


@given(
    models,
    st.lists(st.floats(-20, 60, width=32), min_size=1, max_size=20),
    p_values,
)
def test_shares_follow_the_formula(model, statistics, p_value):
    for given_ in (statistics, [*statistics, -math.inf]):
        assert model.divide([given_], p_value)[0] == pytest.approx(
            slow(model, given_, p_value), rel=1e-6, abs=1e-12
        )


@given(
    models,
    st.lists(st.floats(-30, 90, width=32), min_size=1, max_size=20),
    p_values,
)
def test_shares_add_up_and_keep_the_order(model, statistics, p_value):
    [divided] = model.divide([statistics], p_value)
    assert divided.sum() == pytest.approx(1)
    assert (divided >= 0).all()
    order = np.argsort(statistics, kind="stable")
    assert (np.diff(divided[: len(statistics)][order]) >= -1e-12).all()


def test_nothing_found_is_all_unattributed():
    for p_value in (1.0, np.nan):
        found = ShareModel().divide(np.full((1, 4), -np.inf), p_value)
        assert found.tolist() == [[0, 0, 0, 0, 0, 1]]
        assert ShareModel().divide(np.zeros((1, 0)), p_value).tolist() == [[0, 1]]


@given(models, st.lists(p_values, min_size=2, max_size=20))
def test_no_source_rises_with_the_p_value_whatever_is_held(model, some):
    p = np.sort(some)
    none = model.unattributed(p)
    assert (np.diff(none) >= 0).all()
    for held in (1, 9):
        divided = model.divide(np.full((len(p), held), 3.0), p)
        assert divided[:, -1] == pytest.approx(none)


@given(models, p_values)
def test_no_source_rises_with_what_is_believed_of_it(model, p_value):
    believed = [replace(model, no_source=part) for part in (0.1, 0.5, 0.9)]
    found = [float(each.unattributed(p_value)) for each in believed]
    assert found == sorted(found)


def test_no_source_is_right_on_average_where_p_values_are_as_presumed():
    rng = np.random.default_rng(3)
    model = ShareModel(no_source=0.3, evidence=0.02, lost=0.15)
    chance = rng.random(80_000)
    found = 0.02 * chance / (1.02 - chance)  # the quantiles of its distribution
    truly = rng.random(80_000) < 0.3
    p = np.where(truly | (rng.random(80_000) < 0.15), rng.random(80_000), found)
    none = model.unattributed(p)
    for low, high in ((0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 1)):
        inside = (none >= low) & (none < high)
        assert none[inside].mean() == pytest.approx(truly[inside].mean(), abs=0.02)


def test_two_sources_beyond_doubt_share_by_a_power_of_their_height():
    model = ShareModel(offset=0, scale=1, exponent=0.5, lapse=0)
    [divided] = model.divide([[38.0, 18.0, -np.inf]], 1e-3)
    assert divided[1] / divided[0] == pytest.approx(math.sqrt(18 / 38), rel=1e-3)
    assert divided[-1] < 0.2


def test_a_faint_source_is_beyond_the_candidates_or_any_but_the_best():
    model = ShareModel(lapse=0.5, hidden=0.4, breadth=1000.0)
    [plain] = ShareModel(lapse=0.0).divide([[90.0, 1.0, 1.0]], np.nan)
    [full] = model.divide([[90.0, 1.0, 1.0]], np.nan)
    assert full[3] / (full[:4].sum()) == pytest.approx(0.5 * 0.4 / 1.5, rel=1e-3)
    assert full[1] - plain[1] == pytest.approx(0.5 * 0.6 / 1.5 / 3, rel=0.02)
    [few] = model.divide([[90.0, 1.0, -np.inf]], np.nan)
    assert few[3] == 0
    assert few[2] == 0
    assert few[1] > full[1]


def test_without_a_null_the_candidates_divide_everything():
    [divided] = ShareModel().divide([[5.0, 4.0, -np.inf]], np.nan)
    assert divided[-1] == 0
    assert divided[0] > divided[1] > 0
    assert divided[:2].sum() == pytest.approx(1)


def test_extreme_parameters_neither_overflow_nor_lose_all_weight():
    for model in (
        ShareModel(offset=-17.0, scale=1e-4, exponent=400.0, breadth=1e-4),
        ShareModel(offset=90.0, scale=1e-4, exponent=400.0, lapse=1e4),
    ):
        [divided] = model.divide([[60.0, 2.0, -np.inf]], 0.2)
        assert divided.sum() == pytest.approx(1)


def test_queries_are_divided_independently():
    rng = np.random.default_rng(0)
    statistics, p = rng.normal(size=(6, 9)) * 5, rng.random(6)
    together = ShareModel().divide(statistics, p)
    for row in range(6):
        assert together[row] == pytest.approx(
            ShareModel().divide(statistics[row : row + 1], p[row])[0]
        )


def test_parameters_make_the_same_model_again():
    model = ShareModel(offset=1.25, lapse=0.3)
    assert ShareModel.of(model.parameters) == model
    assert ShareModel.of(model.parameters).id == model.id
    assert ShareModel(offset=1.26, lapse=0.3).id != model.id


@pytest.mark.parametrize(
    "parameters",
    [{}, {"offset": 1.0}, ShareModel().parameters | {"temperature": 1.0}],
    ids=["none", "too few", "unknown"],
)
def test_other_parameters_are_refused_by_name(parameters):
    with pytest.raises(
        BadParameters,
        match="breadth, evidence, exponent, hidden, lapse, lost, no_source, offset, scale",
    ):
        ShareModel.of(parameters)


@pytest.mark.parametrize(
    "bad",
    [
        {"scale": 0},
        {"exponent": -1},
        {"hidden": 1.1},
        {"no_source": 0.0},
        {"no_source": 1.0},
        {"evidence": 0.0},
        {"evidence": float("nan")},
        {"evidence": -0.1},
        {"lost": -0.1},
        {"lost": 1.1},
        {"lapse": -0.1},
        {"breadth": 0},
        {"offset": float("nan")},
        {"offset": -1e300},
        {"scale": 1e-300},
        {"lapse": 1e308},
        {"exponent": 1e300},
    ],
)
def test_numbers_that_make_no_model_are_refused(bad):
    with pytest.raises(BadParameters):
        ShareModel(**bad)


@pytest.mark.parametrize("value", [None, "wide", [1.0], 10**400])
def test_parameters_that_are_no_numbers_are_refused(value):
    with pytest.raises(BadParameters, match="numbers"):
        ShareModel.of(ShareModel().parameters | {"scale": value})


@pytest.mark.parametrize("value", [1e-6, 1e6])
@pytest.mark.parametrize("name", ["evidence", "scale", "exponent", "breadth"])
def test_the_most_extreme_parameters_still_divide_one(name, value):
    statistics = np.array([[1e30, 9.0, -50.0], [5.0, -np.inf, -np.inf]])
    divided = ShareModel(**{name: value}).divide(statistics, 0.5)
    assert (divided >= 0).all()
    assert divided.sum(axis=1) == pytest.approx([1, 1])
