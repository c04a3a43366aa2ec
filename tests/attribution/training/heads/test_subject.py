"""The head for subjects against a slow formula, and what it does of contexts."""

import numpy as np
import pytest
import torch

from attribution.synthesis.context.pairs import draw_contexts_of
from attribution.training.heads.subject import fit_subject

COLUMNS = torch.tensor([0, 1, 2, 3, 4, 6])


def described(n=400, seed=0):
    """Columns 0 to 2 are of subjects, 3 to 5 of contexts, 6 of both; a composite has each's."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 7, generator=rng)
    subjects = torch.arange(n)
    sources = torch.stack([subjects, draw_contexts_of(subjects, n, rng)], dim=1)
    first, second = images[sources[:, 0]], images[sources[:, 1]]
    shares = torch.tensor([0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.5])
    composites = shares * first + (1 - shares) * second + 0.3 * torch.randn(n, 7, generator=rng)
    return images, composites, sources


@pytest.mark.parametrize("apart", [True, False])
def test_it_is_the_generalised_eigenproblem_of_the_margin(apart):
    images, composites, sources = described(90)
    fitted = fit_subject(images, composites, sources, columns=COLUMNS, components=3, apart=apart)
    x, y = (each.numpy().astype(np.float64)[:, COLUMNS] for each in (images, composites))
    within, between = [], []
    for place in (0, 1):
        pairs = [(y[row], x[sources[row, place]]) for row in range(90)]
        mean = np.mean([v for pair in pairs for v in pair], axis=0)
        within.append(np.mean([np.outer(v - mean, v - mean) for p in pairs for v in p], axis=0))
        crossed = np.mean([np.outer(q - mean, v - mean) for q, v in pairs], axis=0)
        between.append((crossed + crossed.T) / 2)
    whole = np.mean(within, axis=0) if apart else within[0]
    margin = between[0] - between[1] if apart else between[0]
    whole += 0.1 * np.trace(whole) / len(whole) * np.eye(len(whole))
    values, vectors = np.linalg.eig(np.linalg.solve(whole, margin))
    order = values.argsort()[::-1][:3]
    lengths = np.sqrt(np.einsum("ik,ij,jk->k", vectors, whole, vectors))
    best = (vectors / lengths * values.clip(0, 1))[:, order]
    found = fitted.weight.numpy().astype(np.float64)
    assert found @ found.T == pytest.approx(best @ best.T, abs=1e-4)
    assert torch.equal(fitted.columns, COLUMNS)


def test_a_subject_is_found_before_its_context_though_that_is_louder():
    images, composites, sources = described()
    composites[:, 3:6] = images[sources[:, 1], 3:6]
    every = torch.arange(7)

    def seen(apart):
        head = fit_subject(images, composites, sources, columns=every, components=4, apart=apart)
        queries, rows = head(composites), head(images)
        own, other = ((queries * rows[sources[:, place]]).sum(dim=1) for place in (0, 1))
        return float((own - other).mean()), head.weight

    margin, weight = seen(apart=True)
    assert margin > 0.7
    assert weight[3:6].norm() < 0.2 * weight[:3].norm()
    plain, unguided = seen(apart=False)
    assert plain < margin
    assert weight[6].norm() < 0.2 < unguided[6].norm()  # of which each has as much
