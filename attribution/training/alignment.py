"""Contrastive alignment losses, as pure functions of unit vectors."""

from __future__ import annotations

import torch
from torch import Tensor


def contrastive(
    queries: Tensor,
    keys: Tensor,
    positives: Tensor,
    *,
    temperature: float,
    excluded: Tensor | None = None,
    decoupled: bool = False,
) -> Tensor:
    r"""InfoNCE of each query against its one positive key, averaged over queries.

    .. math:: -\frac1n \sum_i \Big[ s_{i p_i} - \log \sum_{j \in D_i} \exp s_{ij} \Big],
              \quad s_{ij} = q_i^\top k_j / \tau

    With `decoupled=False` the denominator :math:`D_i` holds every key (van den Oord et al.,
    2018; NT-Xent of Chen et al., ICML 2020, when queries and keys are two views). With
    `decoupled=True` the positive is left out of it, which removes the factor that makes
    gradients vanish in small batches (Yeh et al., "Decoupled Contrastive Learning", ECCV 2022).

    Args:
        queries: `(n, d)` unit rows.
        keys: `(m, d)` unit rows.
        positives: `(n,)` column of the positive key of each query.
        temperature: :math:`\tau`.
        excluded: `(n, m)` boolean, keys that are neither positive nor negative for a query (a
            second true source, say). The positive itself is never excluded.
        decoupled: leave the positive out of the denominator.

    Returns:
        Scalar.
    """
    logits = queries @ keys.T / temperature
    rows = torch.arange(len(queries), device=queries.device)
    positive = logits[rows, positives]
    hidden = torch.zeros_like(logits, dtype=torch.bool) if excluded is None else excluded.clone()
    hidden[rows, positives] = decoupled
    return (logits.masked_fill(hidden, -torch.inf).logsumexp(dim=1) - positive).mean()
