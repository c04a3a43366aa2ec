"""Infomax terms that spread information over the directions of an embedding."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor


def log_determinant(rows: Tensor, epsilon: float = 1e-4) -> Tensor:
    r"""Negative log-determinant of the covariance, per dimension; smaller is more spread.

    .. math:: -\frac1d \log\det\Big( \tfrac{d}{n} (Z-\bar z)^\top (Z-\bar z) + \epsilon I \Big)

    Second-order Infomax: for a Gaussian the entropy is half the log-determinant (Ozsoy et al.,
    "Self-Supervised Learning with an Information Maximization Criterion", NeurIPS 2022). Rows of
    unit length bound the trace, so the optimum is the isotropic covariance. Scaled by `d`, that
    optimum is the identity and the loss near 0. Computed in float64.

    Args:
        rows: `(n, d)` unit rows; with fewer rows than columns the covariance is singular and
            `epsilon` decides the value, so give it several batches (`RecentRows`).
        epsilon: ridge on the scaled covariance.
    """
    centred = (rows - rows.mean(dim=0)).double()
    n, d = centred.shape
    covariance = centred.T @ centred * (d / n)
    ridge = epsilon * torch.eye(d, dtype=torch.float64, device=rows.device)
    value: Tensor = torch.linalg.slogdet(covariance + ridge).logabsdet
    return -value.to(rows.dtype) / d


def effective_rank(rows: Tensor) -> float:
    """Exponential of the entropy of the normalised singular values (Roy and Vetterli, 2007)."""
    centred = (rows - rows.mean(dim=0)).double()
    values = torch.linalg.svdvals(centred)
    shares = values / values.sum().clamp(min=1e-12)
    return float(torch.exp(-(shares * shares.clamp(min=1e-12).log()).sum()))


class RecentRows:
    """The rows of the last few batches, detached, to estimate a covariance larger than a batch."""

    def __init__(self, batches: int) -> None:
        self._batches: deque[Tensor] = deque(maxlen=max(0, batches - 1))

    def join(self, rows: Tensor) -> tuple[Tensor, int]:
        """Put the new rows before the kept ones; also return how many batches that makes.

        Only the new rows carry a gradient, so the caller multiplies the loss by that number to
        keep the size of the gradient independent of the memory.
        """
        joined = torch.cat([rows, *self._batches])
        count = len(self._batches) + 1
        self._batches.append(rows.detach())
        return joined, count

    def state(self) -> list[Tensor]:
        """What a checkpoint must keep to resume exactly."""
        return list(self._batches)

    def restore(self, batches: list[Tensor]) -> None:
        """Take back what `state` gave."""
        self._batches.clear()
        self._batches.extend(batches)
