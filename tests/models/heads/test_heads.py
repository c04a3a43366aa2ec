"""Closed-form heads against independent formulas."""

import numpy as np
import pytest
import torch
from scipy.linalg import eigh

from models.heads import AffineMap, Head, HeadPart, Moments, cca, linear_identity, whiten


def paired_rows(n=4000, d=6, seed=0):
    """Two views that share some directions strongly and others not at all."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, d)) * np.linspace(2.0, 0.2, d)
    mixing = rng.normal(size=(d, d))
    noise = np.linspace(0.1, 3.0, d)
    first = (shared + rng.normal(size=(n, d)) * noise) @ mixing + 5
    second = (shared + rng.normal(size=(n, d)) * noise) @ mixing + 5
    return torch.from_numpy(first).float(), torch.from_numpy(second).float()


def moments(*, batches=3):
    first, second = paired_rows()
    total = Moments(first.shape[1])
    for a, b in zip(first.chunk(batches), second.chunk(batches), strict=True):
        total.add(a, b)
    return total, first, second


def test_moments_equal_numpy_over_all_rows():
    total, first, second = moments()
    rows = torch.cat([first, second]).double().numpy()
    within, between = total.covariances()
    assert np.allclose(total.mean.numpy(), rows.mean(axis=0))
    assert np.allclose(within.numpy(), np.cov(rows.T, bias=True), rtol=1e-4)
    centre = rows.mean(axis=0)
    a, b = first.double().numpy() - centre, second.double().numpy() - centre
    assert np.allclose(between.numpy(), (a.T @ b + b.T @ a) / (2 * len(a)), rtol=1e-3, atol=1e-3)


def test_whitened_rows_have_unit_covariance():
    total, first, second = moments()
    fitted = whiten(total, shrinkage=0.0)
    rows = (torch.cat([first, second]) - fitted.mean) @ fitted.weight
    covariance = np.cov(rows.numpy().T, bias=True)
    assert np.allclose(covariance, np.eye(6), atol=0.02)


def test_whitening_gives_the_inner_products_of_zca():
    total, first, _ = moments()
    fitted = whiten(total, shrinkage=0.0)
    rows = ((first - fitted.mean) @ fitted.weight).double().numpy()
    within = total.covariances()[0].numpy()
    values, vectors = np.linalg.eigh(within)
    zca = vectors @ np.diag(values**-0.5) @ vectors.T
    slow = (first.double().numpy() - total.mean.numpy()) @ zca
    assert np.allclose(rows @ rows.T, slow @ slow.T, atol=1e-2)


def test_cca_solves_the_generalised_eigenproblem():
    total, _, _ = moments()
    fitted = cca(total, components=6, shrinkage=0.0, exponent=0.0)
    within, between = (part.numpy() for part in total.covariances())
    slow = eigh(between, within, eigvals_only=True)[::-1]
    directions = fitted.weight.double().numpy()
    assert np.allclose(directions.T @ within @ directions, np.eye(6), atol=1e-3)
    rho = np.diag(directions.T @ between @ directions)
    assert np.allclose(rho, slow, atol=1e-3)
    assert rho.max() <= 1


def test_cca_weights_directions_by_their_correlation():
    total, _, _ = moments()
    plain = cca(total, components=4, exponent=0.0).weight
    weighted = cca(total, components=4, exponent=1.0).weight
    rho = (weighted.norm(dim=0) / plain.norm(dim=0)).numpy()
    assert np.all(np.diff(rho) <= 0)
    assert rho[0] > 2 * rho[-1]


def test_cca_refuses_more_directions_than_pairs():
    few = Moments(6)
    few.add(torch.randn(3, 6), torch.randn(3, 6))
    with pytest.raises(ValueError, match="3 pairs"):
        cca(few, components=6)


def test_a_head_joins_parts_of_unit_length_and_keeps_domains_apart():
    generator = torch.Generator().manual_seed(0)
    maps = [AffineMap(torch.zeros(5), torch.randn(5, k, generator=generator)) for k in (3, 4, 4)]
    head = Head(5, [HeadPart("structure", maps[0]), HeadPart("appearance", maps[1], maps[2])])
    x = torch.randn(7, 5, generator=generator)
    source, query = head(x), head(x, "query")
    assert [(part.name, part.start, part.stop) for part in head.parts] == [
        ("structure", 0, 3),
        ("appearance", 3, 7),
    ]
    assert torch.allclose(source[:, :3].norm(dim=1), torch.ones(7))
    assert torch.allclose(source[:, 3:].norm(dim=1), torch.ones(7))
    assert torch.equal(source[:, :3], query[:, :3])
    assert not torch.allclose(source[:, 3:], query[:, 3:])


def test_the_identity_map_only_normalises():
    x = torch.randn(4, 5)
    assert torch.allclose(linear_identity(5)(x), torch.nn.functional.normalize(x, dim=1))
    assert torch.allclose(Head(5)(x), torch.nn.functional.normalize(x, dim=1))


def test_a_map_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        AffineMap(torch.zeros(4), torch.zeros(5, 3))


def far_rows(n=2500, d=40, *, offset=30.0):
    """Pairs whose mean is a thousand times their small deviations, as descriptors can be."""
    rng = np.random.default_rng(3)
    shared = rng.normal(size=(n, d)) * np.geomspace(1.0, 0.03, d)
    mixing = np.linalg.qr(rng.normal(size=(d, d)))[0]
    noise = rng.normal(size=(2, n, d)) * np.geomspace(0.1, 0.03, d)
    first, second = ((shared + each) @ mixing + offset for each in noise)
    return first.astype(np.float32), second.astype(np.float32)


def test_blocks_in_single_precision_give_the_covariances_of_double():
    first, second = far_rows()
    total = Moments(first.shape[1])
    for start in range(0, len(first), 100):  # batches that make no whole block
        rows = slice(start, start + 100)
        total.add(torch.from_numpy(first[rows]), torch.from_numpy(second[rows]))
    assert total.count == 2 * len(first)
    both, other = (
        np.concatenate(pair).astype(np.float64) for pair in ((first, second), (second, first))
    )
    centre = both.mean(axis=0)
    exact = [(both - centre).T @ (each - centre) / len(both) for each in (both, other)]
    assert np.allclose(total.mean.numpy(), centre, rtol=1e-7)
    ridge = 0.01 * np.trace(exact[0]) / len(exact[0])
    for found, wanted in zip(total.covariances(), exact, strict=True):
        error = np.linalg.norm(found.numpy() - wanted, 2)
        assert error < 1e-3 * ridge
    naive = both.astype(np.float32).T @ both.astype(np.float32) / np.float32(len(both))
    lost = np.linalg.norm(naive - np.outer(centre, centre) - exact[0], 2)
    assert lost > 0.1 * ridge  # what the mean taken out beforehand saves


def test_a_head_fitted_in_single_precision_ranks_as_one_fitted_in_double():
    first, second = far_rows()
    total = Moments(first.shape[1])
    total.add(torch.from_numpy(first), torch.from_numpy(second))
    fitted = cca(total, components=12)
    both, other = (
        np.concatenate(pair).astype(np.float64) for pair in ((first, second), (second, first))
    )
    centre = both.mean(axis=0)
    within, between = ((both - centre).T @ (each - centre) / len(both) for each in (both, other))
    within += 0.01 * np.trace(within) / len(within) * np.eye(len(within))
    rho, directions = eigh(between, within)
    weight = directions[:, ::-1][:, :12] * rho[::-1][:12]
    rows = (first[:200].astype(np.float64) - centre) @ weight
    exact = rows @ rows.T
    got = ((torch.from_numpy(first[:200]) - fitted.mean) @ fitted.weight).double().numpy()
    assert np.abs(got @ got.T - exact).max() < 1e-3 * np.abs(exact).max()


def test_moments_of_some_columns_are_those_of_rows_of_these_columns():
    first, second = paired_rows()
    columns = torch.tensor([4, 0, 3])
    whole, chosen = Moments(6), Moments(3)
    whole.add(first, second)
    chosen.add(first[:, columns], second[:, columns])
    restricted = whole.of_columns(columns)
    assert restricted.count == chosen.count
    assert torch.allclose(restricted.mean, chosen.mean)
    for got, wanted in zip(restricted.covariances(), chosen.covariances(), strict=True):
        assert torch.allclose(got, wanted, atol=1e-5)
