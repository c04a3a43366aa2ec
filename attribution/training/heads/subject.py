"""A head that knows a subject again in another context; from descriptors, without labels."""

from __future__ import annotations

import torch
from torch import Tensor

from models.heads import AffineMap, Moments, cca
from models.heads.closed_form import BLOCK

SHRINKAGE = 0.1
"""Ten times that of the other heads: a composite is a forward pass, so there are few."""


def fit_subject(
    images: Tensor,
    composites: Tensor,
    sources: Tensor,
    *,
    columns: Tensor,
    components: int,
    apart: bool = True,
) -> AffineMap:
    r"""Directions in which a composite is like its subject's picture and unlike its context's.

    .. math:: \max_V \; \mathbb E \big[ (q - \mu)^\top V V^\top (a - \mu)
              - (q - \mu)^\top V V^\top (b - \mu) \big], \qquad V^\top \Sigma V = I

    over composites :math:`q`, the pictures :math:`a` that their subjects are of and the pictures
    :math:`b` that these were pasted on. Solved by `cca`, whose weights are the margins of the
    directions; what context and subject share alike has none, and is dropped.

    Args:
        images: `(n, d)` descriptors of the pictures.
        composites: `(m, d)` descriptors of the composites.
        sources: `(m, 2)` rows of `images`, subject and context, as `pair_subjects` gives them.
        columns: of the descriptor, that the head reads.
        components: directions kept.
        apart: without it contexts are no negatives, and the head is the usual one.

    Raises:
        ValueError: fewer composites than `components`.
    """
    found, other = Moments(len(columns)), Moments(len(columns))
    for rows in torch.split(torch.arange(len(composites)), BLOCK):
        seen = composites[rows][:, columns]
        for moments, place in ((found, 0), (other, 1)):
            moments.add(seen, images[sources[rows, place]][:, columns])
    fitted = cca(
        found, components=components, shrinkage=SHRINKAGE, against=other if apart else None
    )
    return AffineMap(fitted.mean, fitted.weight, columns)
