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


def nt_xent(mild: Tensor, strong: Tensor, *, temperature: float, decoupled: bool) -> Tensor:
    """`contrastive` of both directions, the other images of both views as negatives.

    NT-Xent of Chen et al., ICML 2020.

    Args:
        mild: `(n, d)` unit rows of one view of each image.
        strong: `(n, d)` unit rows of another view, in the same order.
        temperature: as in `contrastive`.
        decoupled: as in `contrastive`.

    Returns:
        Scalar.
    """
    n = len(mild)
    pairs = torch.arange(n, device=mild.device)
    itself = torch.zeros(n, 2 * n, dtype=torch.bool, device=mild.device)
    itself[pairs, n + pairs] = True
    first, second = (
        contrastive(
            queries,
            torch.cat([keys, queries]),
            pairs,
            temperature=temperature,
            excluded=itself,
            decoupled=decoupled,
        )
        for queries, keys in ((mild, strong), (strong, mild))
    )
    return 0.5 * (first + second)


def multi_positive(
    queries: Tensor,
    keys: Tensor,
    positives: Tensor,
    *,
    temperature: float,
    decoupled: bool = False,
) -> Tensor:
    r"""InfoNCE of each query against several positive keys, one term a positive.

    .. math:: \frac{1}{np} \sum_i \sum_{c=1}^{p} \Big[
              \log \Big( \sum_{j \notin P_i} \exp s_{ij} + \exp s_{i p_{ic}} \Big)
              - s_{i p_{ic}} \Big], \quad s_{ij} = q_i^\top k_j / \tau

    The average of `contrastive` over the positives, each with the others excluded. The sum over
    positives stands outside the logarithm, as in the better form of supervised contrastive
    learning (Khosla et al., NeurIPS 2020), so that a near source cannot stand for a far one;
    unlike there, a positive is not a negative of another one, for both may be found.

    Args:
        queries: `(n, d)` unit rows.
        keys: `(m, d)` unit rows; with a queue, the keys of the batch and then the queue.
        positives: `(n, p)` columns of the positive keys of each query. Repeat a column where
            a query has fewer.
        temperature: :math:`\tau`.
        decoupled: leave the positive out of the denominator, as in `contrastive`.

    Returns:
        Scalar.
    """
    logits = queries @ keys.T / temperature
    hidden = torch.zeros_like(logits, dtype=torch.bool).scatter(1, positives, value=True)
    negative = logits.masked_fill(hidden, -torch.inf).logsumexp(dim=1, keepdim=True)
    return _information(logits.gather(1, positives), negative, decoupled=decoupled)


def momentum_contrastive(
    queries: Tensor, keys: Tensor, queue: Tensor, *, temperature: float, decoupled: bool = False
) -> Tensor:
    r"""InfoNCE of each query against its momentum key, with past keys as the only negatives.

    .. math:: \frac1n \sum_i \Big[ \log \Big( \exp s_i + \sum_j \exp(q_i^\top m_j / \tau) \Big)
              - s_i \Big], \quad s_i = q_i^\top k_i / \tau

    MoCo (He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR
    2020; temperature 0.2 and a two-layer projection in v2, Chen et al., 2020). A queue that came
    from a slowly moving encoder gives many negatives to a small batch.

    Args:
        queries: `(n, d)` unit rows of the encoder that learns.
        keys: `(n, d)` unit rows of its momentum average, of another view; without gradient.
        queue: `(m, d)` unit rows, the keys of earlier batches (`KeyQueue.rows`).
        temperature: :math:`\tau`.
        decoupled: leave the positive out of the denominator, as in `contrastive`.

    Returns:
        Scalar.
    """
    positive = (queries * keys).sum(dim=1, keepdim=True) / temperature
    negative = (queries @ queue.T / temperature).logsumexp(dim=1, keepdim=True)
    return _information(positive, negative, decoupled=decoupled)


def _information(positive: Tensor, negative: Tensor, *, decoupled: bool) -> Tensor:
    """Mean over `positive` `(n, p)` of its term; `negative` `(n, 1)` is the sum of negatives."""
    denominator = negative if decoupled else torch.logaddexp(negative, positive)
    return (denominator - positive).mean()
