"""A map for queries of another distribution: whitened alike, comparable with sources."""

import numpy as np
import torch
from scipy.linalg import sqrtm

from attribution.training.heads.domains import map_for_queries
from models.heads import AffineMap, Moments, linear_identity, whiten


def moments_of(rows):
    moments = Moments(rows.shape[1])
    moments.add(rows, rows)
    return moments


def two_domains(n=3000, d=5):
    rng = np.random.default_rng(0)
    rows = []
    for shift in (2.0, -1.0):
        mixing = rng.normal(size=(d, d)) + 2 * np.eye(d)
        rows.append(torch.from_numpy(rng.normal(size=(n, d)) @ mixing + shift))
    return rows


def mapped(fitted, rows):
    return ((rows - fitted.mean) @ fitted.weight.double()).numpy()


def test_each_domain_gets_unit_covariance_in_a_basis_of_its_own_zca():
    sources, queries = two_domains()
    fitted = whiten(moments_of(sources), shrinkage=0.0)
    other = map_for_queries(fitted, moments_of(sources), moments_of(queries), shrinkage=0.0)
    x, y = mapped(fitted, sources), mapped(other, queries)
    for rows in (x, y):
        assert np.allclose(rows.mean(axis=0), 0, atol=1e-5)
        assert np.allclose(np.cov(rows.T, bias=True), np.eye(5), atol=1e-4)
    zca = [
        (rows - rows.mean(dim=0)).numpy() @ np.linalg.inv(sqrtm(np.cov(rows.T.numpy(), bias=True)))
        for rows in (sources, queries)
    ]
    assert np.allclose(y[:50] @ x[:50].T, zca[1][:50] @ zca[0][:50].T, atol=1e-3)


def test_queries_get_the_mean_and_covariance_of_sources_before_any_map():
    sources, queries = two_domains()
    other = map_for_queries(
        linear_identity(5), moments_of(sources), moments_of(queries), shrinkage=0.0
    )
    moved = mapped(other, queries)
    assert np.allclose(moved.mean(axis=0), sources.numpy().mean(axis=0), atol=1e-4)
    assert np.allclose(np.cov(moved.T), np.cov(sources.numpy().T), atol=1e-2, rtol=1e-3)


def test_equal_domains_keep_the_map_and_its_columns():
    sources, _ = two_domains()
    generator = torch.Generator().manual_seed(0)
    fitted = AffineMap(
        torch.ones(3), torch.randn(3, 2, generator=generator), torch.tensor([4, 0, 2])
    )
    other = map_for_queries(fitted, moments_of(sources), moments_of(sources))
    assert torch.equal(other.columns, fitted.columns)
    assert torch.allclose(other.weight, fitted.weight, atol=1e-5)
    assert torch.allclose(other.mean, fitted.mean, atol=1e-5)
