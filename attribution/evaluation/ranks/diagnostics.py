"""How far labelled pairs bear out the CCA reading of an embedding.

Knows no method and no gallery; rows come from any describer or head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution.evaluation.ranks.methods import Rows

Matrix = NDArray[np.float64]

PAIRS_PER_DIRECTION = 4


@dataclass(frozen=True, slots=True)
class CrossCovariance:
    """How far the whitened cross-covariance C of queries and sources is from the CCA reading.

    Inner products of whitened rows are CCA matching if C is symmetric positive semidefinite.

    Attributes:
        pairs: labelled pairs measured.
        columns: of the rows.
        directions: principal directions kept, at most a quarter of the pairs; all columns as
            they are where there are pairs enough.
        variance: share of the pooled variance that these carry.
        shrinkage: ridge of both whitenings, as a fraction of the mean variance.
        asymmetry: ||C - C^T||_F / ||C||_F; 0 for a symmetric C, 2 at most, about sqrt(2) for
            noise.
        off_diagonal: share of ||C||_F^2 off the diagonal, in the given columns, or in the
            principal directions where only some are kept. It alone depends on that basis.
        positivity: tr C / ||C||_*; 1 if and only if C is symmetric positive semidefinite.
        correlation: ||C||_* / directions, the mean canonical correlation.
    """

    pairs: int
    columns: int
    directions: int
    variance: float
    shrinkage: float
    asymmetry: float
    off_diagonal: float
    positivity: float
    correlation: float


def cross_covariance(queries: Rows, sources: Rows, *, shrinkage: float = 0.01) -> CrossCovariance:
    r"""Diagnose labelled pairs: row i of `queries` came from row i of `sources`.

    .. math:: C = (\Sigma_q + s\,\bar\lambda_q I)^{-1/2}\, \Sigma_{qs}\,
              (\Sigma_s + s\,\bar\lambda_s I)^{-1/2}

    Each domain is centred and whitened by its own symmetric root, so that both stay in the same
    coordinates. Moments of n pairs in more than a fraction of n directions show correlations
    that are not there (with n directions every canonical correlation is 1), so at most one
    direction for every four pairs is kept: the leading principal directions of queries and
    sources together. Our reading of the alignment and disentanglement paper, arXiv 2601.22663.

    Args:
        queries: `(n, d)`.
        sources: `(n, d)`.
        shrinkage: :math:`s`, ridge as a fraction of the mean eigenvalue.

    Raises:
        ValueError: rows do not pair up, are fewer than eight, or do not vary together at all.
    """
    if queries.shape != sources.shape:
        raise ValueError(
            f"queries {queries.shape} and sources {sources.shape} must pair up row by row"
        )
    n, d = queries.shape
    if n < 2 * PAIRS_PER_DIRECTION:
        raise ValueError(f"{n} pairs are too few to diagnose: at least {2 * PAIRS_PER_DIRECTION}")
    q, s = _centred(queries), _centred(sources)
    total = float((q**2).sum() + (s**2).sum())
    kept = min(d, n // PAIRS_PER_DIRECTION)
    if kept < d:
        basis = _principal_directions(np.concatenate([q, s]), kept)
        q, s = q @ basis, s @ basis
    crossed = _inverse_root(q, shrinkage) @ (q.T @ s / n) @ _inverse_root(s, shrinkage)
    energy = float((crossed**2).sum())
    if energy == 0.0:
        raise ValueError("queries and sources do not vary together: is one of them constant?")
    nuclear = float(np.linalg.svd(crossed, compute_uv=False).sum())
    return CrossCovariance(
        pairs=n,
        columns=d,
        directions=kept,
        variance=float((q**2).sum() + (s**2).sum()) / total,
        shrinkage=shrinkage,
        asymmetry=float(np.linalg.norm(crossed - crossed.T)) / energy**0.5,
        off_diagonal=1.0 - float((np.diag(crossed) ** 2).sum()) / energy,
        positivity=float(np.trace(crossed)) / nuclear,
        correlation=nuclear / kept,
    )


def _centred(rows: Rows) -> Matrix:
    x = rows.astype(np.float64)
    centred: Matrix = x - x.mean(axis=0)
    return centred


def _principal_directions(rows: Matrix, count: int) -> Matrix:
    """`(d, count)` orthonormal columns of largest variance."""
    directions: Matrix = np.linalg.svd(rows, full_matrices=False)[2][:count].T
    return directions


def _inverse_root(rows: Matrix, shrinkage: float) -> Matrix:
    """Symmetric inverse square root of the shrunk covariance of centred rows."""
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    values = values.clip(min=0.0)
    ridge = shrinkage * values.mean() + 1e-12
    root: Matrix = (vectors / np.sqrt(values + ridge)) @ vectors.T
    return root
