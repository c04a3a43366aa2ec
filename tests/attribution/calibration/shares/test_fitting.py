"""Fits find what made the data, agree with SciPy's, and are judged on what they have not seen."""

import numpy as np
import pytest
from scipy.optimize import minimize

from attribution.calibration.shares.fitting import Examples, cross_validated, fit, score
from attribution.calibration.shares.model import ShareModel

TRUTH = ShareModel(
    evidence=0.05,
    lost=0.2,
    offset=4.0,
    scale=2.0,
    exponent=1.5,
    lapse=0.2,
    breadth=2.0,
    hidden=0.4,
)


def drawn(seed, n=600, k=12, model=TRUTH):
    """Queries whose credit follows the model: one column drawn by its shares."""
    rng = np.random.default_rng(seed)
    statistics = np.sort(rng.normal(0, 1.5, (n, k)), axis=1)[:, ::-1]
    statistics[: n // 2, 0] += rng.gamma(2, 6, n // 2)
    statistics[: n // 4, 1] = statistics[: n // 4, 0] * rng.random(n // 4)
    chance = rng.random(n)
    found = (np.arange(n) < n // 2) & (rng.random(n) > TRUTH.lost)
    quantiles = TRUTH.evidence * chance / (1 + TRUTH.evidence - chance)
    p_values = np.where(found, quantiles, rng.random(n)).clip(1e-4)
    divided = model.divide(statistics, p_values)
    columns = [rng.choice(k + 2, p=row) for row in divided]
    credit, folds = np.eye(k + 2)[columns], rng.integers(0, 2, n)
    return Examples(statistics, p_values, credit, np.ones(n), folds)


@pytest.fixture(scope="module")
def examples():
    return drawn(0)


@pytest.fixture(scope="module")
def fitted(examples):
    return fit(examples)


def test_a_fit_scores_at_least_as_well_as_the_truth(examples, fitted):
    assert score(fitted, examples) <= score(TRUTH, examples) + 1e-3
    assert score(fitted, examples) < score(ShareModel(), examples)


def test_a_fit_carries_over_to_other_queries(fitted):
    fresh = drawn(1, n=1500)
    assert score(fitted, fresh) < score(TRUTH, fresh) + 0.03


def test_no_other_optimiser_finds_better(examples, fitted):
    def loss(free):
        offset, *logs, hidden, lost = free
        parts = [1 / (1 + np.exp(-odds)) for odds in (hidden, lost)]
        evidence, *positive = np.exp(np.clip(logs, -12, 12))
        model = ShareModel(0.5, evidence, parts[1], offset, *positive, parts[0])
        return score(model, examples) + 0.5 * sum((free - prior) ** 2) / len(examples)

    def free_of(model):
        parts = np.array([model.hidden, model.lost])
        positive = [model.evidence, model.scale, model.exponent, model.lapse, model.breadth]
        return np.array([model.offset, *np.log(positive), *np.log(parts / (1 - parts))])

    prior = free_of(ShareModel())
    start = [0.0, -3.0, 0.0, 0.0, -1.0, 0.0, -1.0, -1.0]
    found = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 1500})
    assert loss(free_of(fitted)) <= found.fun + 2e-3


def test_what_is_believed_of_a_query_is_not_fitted(examples):
    assert fit(examples, ShareModel(no_source=0.8)).no_source == 0.8


def test_the_same_examples_give_the_same_fit(examples, fitted):
    assert fit(examples) == fitted


def test_few_examples_stay_near_the_start(examples):
    few = examples.chosen(np.arange(len(examples)) < 2)
    start = ShareModel(offset=3.7)
    assert fit(few, start).scale == pytest.approx(start.scale, rel=3)
    assert np.isfinite(score(fit(few, start), few))


def test_weights_count(examples, fitted):
    sourceless = examples.credit[:, -1] == 1
    heavy = Examples(
        examples.statistics,
        examples.p_values,
        examples.credit,
        np.where(sourceless, 10.0, 1.0),
        examples.folds,
    )
    plain, other = (each.unattributed(examples.p_values) for each in (fitted, fit(heavy)))
    assert other.mean() > plain.mean() + 0.02


def test_figures_on_held_out_folds_beat_the_constant(examples):
    figures = cross_validated(examples)
    assert figures.queries == len(examples)
    assert figures.log_score < figures.constant_log_score - 0.2
    assert figures.brier_score < figures.constant_brier_score - 0.1
    assert figures.rank_1_error < 0.08
    assert figures.unattributed_error < 0.08
    assert set(figures.rounded()) >= {"log_score", "rank_1_error"}


def test_credit_that_follows_nothing_does_not_beat_the_constant(examples):
    rng = np.random.default_rng(5)
    shuffled = Examples(
        examples.statistics,
        examples.p_values,
        examples.credit[rng.permutation(len(examples))],
        examples.weights,
        examples.folds,
    )
    figures = cross_validated(shuffled)
    assert figures.log_score > figures.constant_log_score - 0.05


def test_a_perfect_ranking_is_fitted_without_overflow():
    n, k = 24, 8
    statistics = np.tile(np.linspace(1, 0, k), (2 * n, 1))
    statistics[:n, 0] = 30.0
    credit = np.zeros((2 * n, k + 2))
    credit[:n, 0] = credit[n:, -1] = 1.0
    p_values = np.repeat([1e-4, 0.9], n)
    folds = np.arange(2 * n) % 2
    sure = Examples(statistics, p_values, credit, np.ones(2 * n), folds)
    assert cross_validated(sure).log_score < 0.1


def test_one_fold_or_no_queries_cannot_be_judged(examples):
    one = examples.chosen(examples.folds == 0)
    with pytest.raises(ValueError, match="second fold"):
        cross_validated(one)
    with pytest.raises(ValueError, match="no queries"):
        fit(examples.chosen(np.zeros(len(examples), dtype=bool)))
