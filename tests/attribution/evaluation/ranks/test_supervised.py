"""Supervised maps: their loss, what they learn, and that they never saw what they are scored on."""

import math

import numpy as np
import pytest
import torch

from attribution.evaluation.ranks.supervised import (
    Recipe,
    SupervisedScorer,
    contrastive_both_ways,
)
from attribution.evaluation.statistics.folds import TooFewGroups, folds_of

GROUPS, EACH, COLUMNS = 40, 5, 16
FEW_STEPS = Recipe(steps=10)  # enough for labels to tell


def slow_contrastive(logits, positive):
    def one_way(logits, positive):
        terms = []
        for i, j in zip(*np.nonzero(positive), strict=True):
            wrong = sum(math.exp(logits[i, k]) for k in np.flatnonzero(~positive[i]))
            terms.append(-math.log(math.exp(logits[i, j]) / (math.exp(logits[i, j]) + wrong)))
        return sum(terms) / len(terms)

    return (one_way(logits, positive) + one_way(logits.T, positive.T)) / 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [0.5, 5.0])
def test_the_loss_equals_the_slow_formula(seed, scale):
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=scale, size=(6, 8))
    positive = rng.random((6, 8)) < 0.3
    positive[np.arange(6), np.arange(6)] = True
    positive[:, 7] = positive[5, :5] = False
    positive[0, 7] = True
    loss = contrastive_both_ways(torch.from_numpy(logits), torch.from_numpy(positive))
    assert float(loss) == pytest.approx(slow_contrastive(logits, positive), rel=1e-6)


def two_domains(seed=0):
    """Queries and sources share a signal, seen by each through another map, under nuisance.

    The truth of group i is column 2 i; columns 2 i + 1 and those at the end are of no query.
    """
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(2 * GROUPS + 40, 6))
    seen, turned = rng.normal(size=(6, COLUMNS)), rng.normal(size=(6, COLUMNS))
    nuisance = 1.5 * rng.normal(size=(4, COLUMNS))
    gallery = signal @ seen + rng.normal(size=(len(signal), 4)) @ nuisance
    queries = signal[2 * (np.arange(GROUPS * EACH) // EACH)] @ (seen + turned) / 2
    queries += rng.normal(size=(len(queries), 4)) @ nuisance
    truth = [(2 * (query // EACH),) for query in range(len(queries))]
    return queries.astype(np.float32), gallery.astype(np.float32), truth


def mean_reciprocal_rank(scores, truth):
    own = np.array([scores[row, columns[0]] for row, columns in enumerate(truth)])
    return float((1 / (1 + (scores > own[:, None]).sum(axis=1))).mean())


def centred_cosines(queries, gallery):
    q, g = queries - gallery.mean(axis=0), gallery - gallery.mean(axis=0)
    return (q / np.linalg.norm(q, axis=1)[:, None]) @ (g / np.linalg.norm(g, axis=1)[:, None]).T


def test_it_beats_the_raw_cosine_where_labels_tell_signal_from_nuisance():
    queries, gallery, truth = two_domains()
    scores = SupervisedScorer()(queries, gallery, truth)
    assert scores.shape == (len(queries), len(gallery))
    assert scores.dtype == np.float32
    assert np.abs(scores).max() <= 1 + 1e-5
    raw = mean_reciprocal_rank(centred_cosines(queries, gallery), truth)
    assert mean_reciprocal_rank(scores, truth) > 1.5 * raw


def test_scores_do_not_depend_on_the_labels_of_the_query_s_own_group():
    queries, gallery, truth = two_domains()
    group = 7
    own = slice(group * EACH, (group + 1) * EACH)
    changed = list(truth)
    changed[own] = [(2 * group + 1,)] * EACH  # keeps groups, their order and so the folds
    folds = folds_of(truth, 5, 0)
    assert np.array_equal(folds, folds_of(changed, 5, 0))
    before, after = (
        SupervisedScorer(FEW_STEPS)(queries, gallery, labels) for labels in (truth, changed)
    )
    same_fold = folds == folds[own.start]
    assert np.array_equal(before[own], after[own])
    assert np.array_equal(before[same_fold], after[same_fold])
    assert not np.array_equal(before[~same_fold], after[~same_fold])


def test_a_fold_that_trains_on_its_own_source_would_show(monkeypatch):
    """The test above fails for folds of queries in place of folds of sources."""
    queries, gallery, truth = two_domains()
    monkeypatch.setattr(
        "attribution.evaluation.ranks.supervised.folds_of",
        lambda truth, folds, seed: np.arange(len(truth)) % folds,
    )
    changed = list(truth)
    changed[35:40] = [(15,)] * EACH
    before, after = (
        SupervisedScorer(FEW_STEPS)(queries, gallery, labels) for labels in (truth, changed)
    )
    assert not np.array_equal(before[35:40], after[35:40])


def test_it_repeats_and_takes_queries_without_labels_and_many_columns():
    queries, gallery, truth = two_domains()
    wide = np.pad(gallery, ((0, 0), (0, 3)))
    truth[3] = ()
    recipe = Recipe(columns=8, steps=4)
    first, again = (
        SupervisedScorer(recipe)(np.pad(queries, ((0, 0), (0, 3))), wide, truth) for _ in range(2)
    )
    assert np.array_equal(first, again)
    assert np.isfinite(first[3]).all()


def test_too_few_groups_say_what_to_do():
    queries, gallery, _ = two_domains()
    with pytest.raises(TooFewGroups, match="leave it out, or add cases"):
        SupervisedScorer()(queries, gallery, [(query % 3,) for query in range(len(queries))])
