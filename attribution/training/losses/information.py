"""Infomax losses, as pure functions: they spread rows over the directions of an embedding."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def log_determinant(rows: Tensor, epsilon: float = 1e-4) -> Tensor:
    r"""Negative log-determinant of the covariance, per dimension; smaller is more spread.

    .. math:: -\frac1d \log\det\Big( \tfrac{d}{n} (Z-\bar z)^\top (Z-\bar z) + \epsilon I \Big)

    Second-order Infomax: for a Gaussian the entropy is half the log-determinant (Ozsoy et al.,
    "Self-Supervised Learning with an Information Maximization Criterion", NeurIPS 2022). Rows of
    unit length bound the trace, so the optimum is the isotropic covariance. Scaled by `d`, that
    optimum is the identity and the loss near 0. Computed in float64.

    Args:
        rows: `(n, d)` unit rows; with fewer rows than columns the covariance is singular and
            `epsilon` decides the value, so give it several batches.
        epsilon: ridge on the scaled covariance.
    """
    centred = (rows - rows.mean(dim=0)).double()
    n, d = centred.shape
    covariance = centred.T @ centred * (d / n)
    ridge = epsilon * torch.eye(d, dtype=torch.float64, device=rows.device)
    value: Tensor = torch.linalg.slogdet(covariance + ridge).logabsdet
    return -value.to(rows.dtype) / d


def koleo(rows: Tensor, epsilon: float = 1e-8) -> Tensor:
    r"""Negative mean log-distance of each row to its nearest other row; smaller is more spread.

    .. math:: -\frac1n \sum_i \log \big( \min_{j \neq i} \lVert z_i - z_j \rVert + \epsilon \big)

    The Kozachenko-Leonenko estimate of entropy, up to a constant (Sablayrolles et al.,
    "Spreading Vectors for Similarity Search", ICLR 2019; DINOv2 uses it so). Unlike a
    log-determinant it needs no batch larger than `d`. Rows that are equal push nothing apart:
    the gradient of their distance is set to zero.

    Args:
        rows: `(n, d)` unit rows, one view of each image: two views of one would be each other's
            nearest, and what alignment draws together this would push apart.
        epsilon: bounds the loss where two rows are equal.

    Raises:
        ValueError: fewer than two rows.
    """
    if len(rows) < 2:
        raise ValueError(f"koleo compares rows with each other, but there is {len(rows)}")
    with torch.no_grad():
        similarity = rows @ rows.T
        similarity.fill_diagonal_(-torch.inf)
        nearest = similarity.argmax(dim=1)  # of unit rows: the largest product is the nearest
    distance: Tensor = torch.linalg.vector_norm(rows - rows[nearest], dim=1)
    return -(distance + epsilon).log().mean()


def ica(rows: Tensor, weight: Tensor, epsilon: float = 1e-4) -> Tensor:
    r"""Infomax of Bell and Sejnowski with learnt rows, per dimension; smaller is better.

    .. math:: -\frac1d \Big[ \tfrac12 \log\det(C + \epsilon I) + \log |\det W|
              + \frac1n \sum_i \sum_k \log g'(u_{ik}) - \tfrac{\epsilon}{2} \lVert W \rVert_F^2
              \Big], \quad u_i = W x_i, \; x_i = \sqrt d \, (z_i - \bar z), \;
              C = \tfrac1n X^\top X

    with `g` the logistic function: the entropy of `g(W x)`, largest when its columns are
    independent and uniform, so it looks past covariance at all moments (Bell and Sejnowski,
    "An Information-Maximization Approach to Blind Separation and Blind Deconvolution", Neural
    Computation 1995). `W` is learnt along, by the same optimiser.

    The two middle terms are the paper's. Its entropy of the data is a constant there and left
    out; here an encoder moves the rows, and without that entropy would win by drawing them
    together (`u = 0` maximises `g'`), while `W` would grow without bound along directions where
    rows do not vary. So two terms complete it. The first is the entropy of the rows, taken as a
    Gaussian's: with it, stretching the rows and shrinking `W` alike changes nothing. The last is
    what noise of variance :math:`\epsilon` in every direction would cost: it bounds `W`, and with
    it the loss from below, and makes collapse the worst case and not the best. Rows of unit
    length bound the first term. Nothing need be whitened first, for `W` learns that too; the
    factor of `log_determinant` makes the identity a good start.

    Args:
        rows: `(n, d)` unit rows, more of them than columns.
        weight: `(d, d)` unmixing matrix :math:`W`, a parameter that starts as the identity;
            leave it out of weight decay.
        epsilon: :math:`\epsilon`, also the ridge on the covariance.

    Returns:
        Scalar, computed in float64: about 1.43 for isotropic Gaussian rows.
    """
    d = rows.shape[1]
    unmixing = weight.double()
    unmixed = (rows - rows.mean(dim=0)).double() @ unmixing.T * math.sqrt(d)
    density = functional.logsigmoid(unmixed) + functional.logsigmoid(-unmixed)
    volume: Tensor = torch.linalg.slogdet(unmixing).logabsdet
    gain = volume + density.sum(dim=1).mean() - epsilon / 2 * unmixing.square().sum()
    entropy = log_determinant(rows.double(), epsilon) / 2
    return (entropy - gain / d).to(rows.dtype)
