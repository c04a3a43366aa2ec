"""Heads with a closed form, fitted once on unlabelled images and then frozen."""

from __future__ import annotations

import torch
from torch import Tensor

from models.heads.affine import AffineMap

BLOCK = 1024
"""Rows multiplied at once: fewer, and adding up the products takes longer than making them."""


class Moments:
    r"""Running first and second moments of paired descriptors, of any number of images.

    Products of a block of rows are float32, sums of blocks float64. A covariance is the small
    difference of large numbers where rows are far from the origin, so the mean of the first block
    is taken from all rows before; what float32 then loses is a millionth of a covariance, and
    heads add a hundredth of its mean to its diagonal. Two products a block are enough, since

    .. math:: 2 (A^\top A + B^\top B) = (A+B)^\top (A+B) + (A-B)^\top (A-B), \quad
              2 (A^\top B + B^\top A) = (A+B)^\top (A+B) - (A-B)^\top (A-B)

    Args:
        dimension: columns of a descriptor.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._origin = torch.zeros(dimension)
        self._summed = 0
        self._total = torch.zeros(dimension, dtype=torch.float64)
        self._plus, self._minus = (
            torch.zeros(dimension, dimension, dtype=torch.float64) for _ in range(2)
        )
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def add(self, first: Tensor, second: Tensor) -> None:
        """Add `(n, d)` descriptors of one view and of another view of the same images."""
        self._waiting.append((first.float(), second.float()))
        if sum(len(rows) for rows, _ in self._waiting) >= BLOCK:
            self._sum()

    @property
    def count(self) -> int:
        """Rows added, of both views."""
        return self._summed + 2 * sum(len(rows) for rows, _ in self._waiting)

    @property
    def mean(self) -> Tensor:
        """`(d,)` float64."""
        self._sum()
        return self._origin + self._total / self._summed

    def covariances(self) -> tuple[Tensor, Tensor]:
        """Covariance of rows and covariance between the two views, `(d, d)` float64 each."""
        self._sum()
        shift = self._total / self._summed
        centre = torch.outer(shift, shift)
        within = (self._plus + self._minus) / (2 * self._summed)
        between = (self._plus - self._minus) / (2 * self._summed)
        return within - centre, between - centre

    def of_columns(self, columns: Tensor) -> Moments:
        """The moments of some columns of the descriptor."""
        self._sum()
        chosen = Moments(len(columns))
        chosen._summed, chosen._origin = self._summed, self._origin[columns]
        chosen._total = self._total[columns]
        chosen._plus = self._plus[columns][:, columns]
        chosen._minus = self._minus[columns][:, columns]
        return chosen

    def _sum(self) -> None:
        """Join what waits to the sums."""
        if not self._waiting:
            return
        first, second = (torch.cat(rows) for rows in zip(*self._waiting, strict=True))
        self._waiting.clear()
        if self._summed == 0:
            self._origin = (first.mean(dim=0) + second.mean(dim=0)) / 2
        plus = first + second - 2 * self._origin
        minus = first - second
        self._summed += 2 * len(first)
        self._total += plus.sum(dim=0, dtype=torch.float64)
        self._plus += plus.T @ plus
        self._minus += minus.T @ minus


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
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    values, vectors = values.flip(0).clamp(min=0.0), vectors.flip(1)
    basis = vectors / (values + _ridge(covariance, shrinkage)).sqrt()
    return AffineMap(moments.mean.float(), basis[:, :components].float())


def cca(
    moments: Moments,
    *,
    components: int,
    shrinkage: float = 0.01,
    exponent: float = 1.0,
    against: Moments | None = None,
) -> AffineMap:
    r"""Canonical directions of two views, each weighted by its canonical correlation.

    Solves :math:`\Sigma_b v = \rho\, \Sigma_w v` (both views share one map, so the problem is
    the symmetric one and :math:`\rho \le 1`) by the Cholesky root of :math:`\Sigma_w`, and maps
    :math:`x \mapsto (x - \mu) V \mathrm{diag}(\rho^{e})`. Whitening alone amplifies directions that
    views do not share; the weights take them back (Hotelling, 1936; our reading of the alignment
    and disentanglement paper, arXiv 2601.22663).

    With `against` the covariance between its pairs is taken from that of the pairs to be kept,
    :math:`\Sigma_b = \Sigma_b^+ - \Sigma_b^-`: of all maps that whiten, it is the one whose inner
    products of pairs to be found exceed those of pairs to be told apart by most, on average
    (maximum margin criterion of Li, Jiang and Zhang, NIPS 2003, for pairs).

    Args:
        moments: of pairs of views.
        components: canonical directions kept, largest correlation first.
        shrinkage: ridge on the total covariance, as a fraction of its mean eigenvalue.
        exponent: power of the correlation used as weight; 0 leaves plain whitening.
        against: of pairs that should not be alike, of the same columns.

    Raises:
        ValueError: fewer pairs than `components`.
        torch.linalg.LinAlgError: no shrinkage, and a singular covariance.
    """
    if moments.count < 2 * components:
        raise ValueError(
            f"{moments.count // 2} pairs cannot fit {components} canonical directions: "
            "give more images or keep fewer components"
        )
    within, between = moments.covariances()
    if against is not None:
        others, apart = against.covariances()
        within, between = (within + others) / 2, between - apart
    within.diagonal().add_(_ridge(within, shrinkage))
    root = torch.linalg.cholesky(within)
    half = torch.linalg.solve_triangular(root, between, upper=False)
    inner = torch.linalg.solve_triangular(root, half.T, upper=False)
    correlations, rotation = torch.linalg.eigh((inner + inner.T) / 2)
    rho = correlations.flip(0)[:components].clamp(min=0.0, max=1.0)
    leading = rotation.flip(1)[:, :components]
    directions = torch.linalg.solve_triangular(root.T, leading, upper=True)
    return AffineMap(moments.mean.float(), (directions * rho.pow(exponent)).float())


def linear_identity(dimension: int) -> AffineMap:
    """A linear map that starts as the identity, to be trained (AbC, ICCV 2023)."""
    return AffineMap(torch.zeros(dimension), torch.eye(dimension))


def _ridge(covariance: Tensor, shrinkage: float) -> Tensor:
    """A fraction of the mean eigenvalue, which is the mean of the diagonal."""
    return shrinkage * covariance.diagonal().mean() + 1e-12
