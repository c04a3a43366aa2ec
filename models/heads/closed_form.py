"""Heads with a closed form, fitted once on unlabelled images and then frozen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.heads.affine import AffineMap


@dataclass(slots=True)
class Moments:
    """Running first and second moments of paired descriptors, in float64.

    Add batches of two views of the same images; nothing but `(d, d)` matrices is kept, so the
    number of images is not limited by memory.
    """

    count: int
    total: Tensor
    within: Tensor
    """Sum of the outer products of every row with itself, both views."""
    between: Tensor
    """Sum of the outer products of a row with its other view, made symmetric."""

    @classmethod
    def empty(cls, dimension: int) -> Moments:
        """No rows yet."""
        square = torch.zeros(dimension, dimension, dtype=torch.float64)
        return cls(0, torch.zeros(dimension, dtype=torch.float64), square, square.clone())

    def add(self, first: Tensor, second: Tensor) -> None:
        """Add `(n, d)` descriptors of one view and of another view of the same images."""
        a, b = first.double(), second.double()
        self.count += 2 * len(a)
        self.total += a.sum(0) + b.sum(0)
        self.within += a.T @ a + b.T @ b
        cross = a.T @ b
        self.between += cross + cross.T

    @property
    def mean(self) -> Tensor:
        """`(d,)`."""
        return self.total / self.count

    def covariances(self) -> tuple[Tensor, Tensor]:
        """Covariance of rows and covariance between the two views, `(d, d)` each."""
        centre = torch.outer(self.mean, self.mean)
        return self.within / self.count - centre, self.between / self.count - centre


def whiten(
    moments: Moments, *, components: int | None = None, shrinkage: float = 0.01
) -> AffineMap:
    r"""ZCA-type whitening: rows of unit covariance, in the basis of principal directions.

    .. math:: W = U (\Lambda + s\,\bar\lambda I)^{-1/2}, \qquad \Sigma = U \Lambda U^\top

    Inner products equal those of symmetric (ZCA) whitening, which differs by a rotation only.

    Args:
        moments: of the descriptors.
        components: keep the directions of largest variance; all of them by default.
        shrinkage: :math:`s`, ridge as a fraction of the mean eigenvalue.
    """
    covariance, _ = moments.covariances()
    basis = _whitening_basis(covariance, shrinkage)
    if components is not None:
        basis = basis[:, :components]
    return AffineMap(moments.mean.float(), basis.float())


def cca(
    moments: Moments, *, components: int, shrinkage: float = 0.01, exponent: float = 1.0
) -> AffineMap:
    r"""Canonical directions of two views, each weighted by its canonical correlation.

    Solves :math:`\Sigma_b v = \rho\, \Sigma_w v` (both views share one map, so the problem is
    the symmetric one and :math:`\rho \le 1`) and maps :math:`x \mapsto (x - \mu) V
    \mathrm{diag}(\rho^{e})`. Whitening alone amplifies directions that views do not share;
    the weights take them back (Hotelling, 1936; our reading of the alignment and
    disentanglement paper, arXiv 2601.22663).

    Args:
        moments: of pairs of views.
        components: canonical directions kept, largest correlation first.
        shrinkage: ridge on the total covariance, as a fraction of its mean eigenvalue.
        exponent: power of the correlation used as weight; 0 leaves plain whitening.

    Raises:
        ValueError: fewer pairs than `components`.
    """
    if moments.count < 2 * components:
        raise ValueError(
            f"{moments.count // 2} pairs cannot fit {components} canonical directions: "
            "give more images or keep fewer components"
        )
    within, between = moments.covariances()
    basis = _whitening_basis(within, shrinkage)
    inner = basis.T @ between @ basis
    correlations, rotation = torch.linalg.eigh((inner + inner.T) / 2)
    keep = torch.argsort(correlations, descending=True)[:components]
    rho = correlations[keep].clamp(min=0.0, max=1.0)
    weight = basis @ rotation[:, keep] * rho.pow(exponent)
    return AffineMap(moments.mean.float(), weight.float())


def linear_identity(dimension: int) -> AffineMap:
    """A linear map that starts as the identity, to be trained (AbC, ICCV 2023)."""
    return AffineMap(torch.zeros(dimension), torch.eye(dimension))


def _whitening_basis(covariance: Tensor, shrinkage: float) -> Tensor:
    """Columns that whiten, by falling variance."""
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    values, vectors = values.flip(0).clamp(min=0.0), vectors.flip(1)
    ridge = shrinkage * values.mean() + 1e-12
    basis: Tensor = vectors / (values + ridge).sqrt()
    return basis
