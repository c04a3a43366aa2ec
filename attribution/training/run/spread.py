"""What is measured of embeddings without labels: how far views agree, how far rows spread."""

from __future__ import annotations

import math

import torch
from torch import Tensor


@torch.no_grad()
def alignment(a: Tensor, b: Tensor, power: float = 2.0) -> float:
    r"""How far apart the two views of an image lie; 0 is perfect.

    .. math:: \frac1n \sum_i \lVert a_i - b_i \rVert^{\alpha}

    Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and
    Uniformity on the Hypersphere", ICML 2020.

    Args:
        a: `(n, d)` unit rows.
        b: `(n, d)` unit rows, row `i` another view of the image of `a[i]`.
        power: :math:`\alpha`.
    """
    return float((a.double() - b.double()).norm(dim=1).pow(power).mean())


@torch.no_grad()
def uniformity(rows: Tensor, sharpness: float = 2.0) -> float:
    r"""How evenly rows cover the sphere; smaller is more even, 0 is all in one point.

    .. math:: \log \frac{2}{n(n-1)} \sum_{i<j} \exp\big(-t \lVert z_i - z_j \rVert^2\big)

    Logarithm of the mean Gaussian potential over pairs (Wang and Isola, ICML 2020). With
    `t = 2` the uniform distribution on a sphere of many dimensions has about -4.

    Args:
        rows: `(n, d)` unit rows, at least two; the memory used grows with the square of `n`.
        sharpness: :math:`t`.

    Raises:
        ValueError: fewer than two rows, which make no pair.
    """
    if len(rows) < 2:
        raise ValueError(f"uniformity compares pairs of rows, but there is {len(rows)}: give more")
    squares = torch.pdist(rows.double()).square()
    return float((-sharpness * squares).logsumexp(dim=0)) - math.log(len(squares))


def effective_rank(rows: Tensor) -> float:
    """Exponential of the entropy of the normalised singular values (Roy and Vetterli, 2007)."""
    centred = (rows - rows.mean(dim=0)).double()
    values = torch.linalg.svdvals(centred)
    shares = values / values.sum().clamp(min=1e-12)
    return float(torch.exp(-(shares * shares.clamp(min=1e-12).log()).sum()))
