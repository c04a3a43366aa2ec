"""Log-determinant, KoLeo and ICA against slow formulas, and what keeps ICA from collapse."""

import math

import numpy as np
import pytest
import torch

from attribution.training.losses.information import ica, koleo, log_determinant
from tests.support.tensors import unit_rows


def unmixing(d, seed):
    noise = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.eye(d, dtype=torch.float64) + 0.3 * noise


@pytest.mark.parametrize("n", [2, 3, 20])
@pytest.mark.parametrize("d", [2, 8])
def test_koleo_equals_the_slow_formula(n, d):
    rows = unit_rows(n, d, n)
    total = 0.0
    for i, row in enumerate(rows.tolist()):
        total -= math.log(min(math.dist(row, other) for j, other in enumerate(rows.tolist())
                              if j != i))  # fmt: skip
    assert float(koleo(rows)) == pytest.approx(total / n, rel=1e-6)


def test_koleo_gradient_is_the_numerical_one():
    assert torch.autograd.gradcheck(koleo, (unit_rows(8, 4, 1).requires_grad_(),))


def test_koleo_prefers_spread_rows_and_survives_equal_ones():
    spread = unit_rows(40, 8, 3)
    narrow = torch.nn.functional.normalize(spread + 3 * spread[:1], dim=1)
    assert koleo(spread) < koleo(narrow)
    equal = spread[:1].repeat(4, 1).requires_grad_()
    loss = koleo(equal)
    loss.backward()
    assert loss.isfinite()
    assert equal.grad.isfinite().all()
    with pytest.raises(ValueError, match="with each other"):
        koleo(spread[:1])


def slow_ica(rows, weight, epsilon):
    n, d = rows.shape
    centred = math.sqrt(d) * (rows - rows.mean(axis=0))
    entropy = 0.5 * np.log(np.linalg.eigvalsh(centred.T @ centred / n) + epsilon).sum()
    volume = np.log(np.linalg.svd(weight)[1]).sum()
    density = 0.0
    for row in centred:
        for unmixer in weight:
            g = 1 / (1 + math.exp(-float(unmixer @ row)))
            density += math.log(g * (1 - g)) / n
    return -(entropy + volume + density - epsilon / 2 * (weight**2).sum()) / d


@pytest.mark.parametrize(("n", "d"), [(30, 2), (50, 6)])
@pytest.mark.parametrize("epsilon", [1e-4, 0.1])
def test_ica_equals_the_slow_formula(n, d, epsilon):
    rows, weight = unit_rows(n, d, d), unmixing(d, n)
    slow = slow_ica(rows.numpy(), weight.numpy(), epsilon)
    assert float(ica(rows, weight, epsilon)) == pytest.approx(slow, rel=1e-9)


def test_ica_gradients_are_the_numerical_ones():
    rows, weight = unit_rows(12, 3, 5).requires_grad_(), unmixing(3, 6).requires_grad_()
    assert torch.autograd.gradcheck(ica, (rows, weight))


def fit(rows, epsilon=1e-4):
    weight = torch.eye(rows.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = ica(rows, weight, epsilon)
        loss.backward()
        return loss

    optimiser.step(closure)
    return weight.detach(), float(ica(rows, weight.detach(), epsilon))


def test_ica_unmixes_independent_sources():
    draw = np.random.default_rng(0)
    sources = torch.from_numpy(draw.laplace(size=(1500, 3)))
    mixing = torch.from_numpy(draw.normal(size=(3, 3)))
    weight, _ = fit(sources @ mixing.T)
    gains = (weight @ mixing).abs()  # one source an output: a permutation, scaled
    shares = gains / gains.amax(dim=1, keepdim=True)
    assert shares.argmax(dim=1).unique().numel() == 3
    assert shares.sort(dim=1).values[:, :-1].max() < 0.1


def test_with_the_best_unmixing_collapse_is_the_worst_case_and_bounded():
    rows = unit_rows(400, 3, 1)
    losses = []
    for shrink in (1.0, 0.3, 0.1, 0.03, 0.01, 0.001, 0.0):
        collapsing = rows.clone()
        collapsing[:, 2] *= shrink
        losses.append(fit(collapsing, epsilon=0.01)[1])
    assert losses == sorted(losses)
    assert losses[-1] > losses[0] + 0.05
    _, everything = fit(torch.zeros_like(rows), epsilon=0.01)
    assert everything > losses[-1]


def test_ica_of_isotropic_rows_is_near_the_entropy_of_a_gaussian():
    rows = unit_rows(4000, 24, 2)
    weight = torch.eye(24, dtype=torch.float64) * 1.6
    assert float(ica(rows, weight)) == pytest.approx(1.43, abs=0.02)


@pytest.mark.parametrize(("n", "d"), [(50, 4), (200, 16), (10, 16)])
def test_log_determinant_equals_the_eigenvalue_formula(n, d):
    rows = unit_rows(n, d, d)
    centred = rows.numpy() - rows.numpy().mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(centred.T @ centred * d / n)
    slow = -np.mean(np.log(np.clip(eigenvalues, 0, None) + 1e-4))
    assert float(log_determinant(rows)) == pytest.approx(slow, rel=1e-6)


def test_log_determinant_gradient_is_the_numerical_one():
    rows = unit_rows(12, 3, 5).requires_grad_()
    assert torch.autograd.gradcheck(log_determinant, (rows,))


def test_log_determinant_prefers_spread_rows():
    spread = unit_rows(500, 8, 3)
    narrow = spread.clone()
    narrow[:, 4:] *= 0.01
    narrow = torch.nn.functional.normalize(narrow, dim=1)
    assert log_determinant(spread) < 0.1 < log_determinant(narrow)
