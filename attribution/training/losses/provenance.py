r"""Provenance-guided input gradients, as pure functions: what decides a score must be its source's.

Nagano et al., "Learning from Synthetic Data via Provenance-Based Input Gradient Guidance", CVPR
2026 (arXiv 2604.02946). Of a composite :math:`\tilde x` it is known which places come from A
(:math:`M = 1`) and which from B; a score for A should then not depend on what is B's:

.. math:: L = \big\lVert (1 - M) \odot \nabla_{\tilde x} f_A(\tilde x)
          + M \odot \nabla_{\tilde x} f_B(\tilde x) \big\rVert_2^2

The paper's scores are logits of classes. The score of an attribution (`attribution_scores`) and the
choice between a sum and a mean over the input are ours; the paper's is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Over = Literal["sum", "mean"]
"""Whether squares are added up over the elements of an input, or averaged over them. A weight for
`mean` is that for `sum` times the elements of one input."""


def attribution_scores(rows: Tensor, sources: Tensor) -> Tensor:
    r"""How strongly each row points to its source.

    .. math:: f_A(\tilde x) = \frac{z(\tilde x)^\top a}{\mathrm{stopgrad}\,\lVert z(\tilde x)\rVert}

    The value is a cosine, its gradient is not: the norm of :math:`z` depends on all of the input,
    so a cosine has a gradient off its source's region whatever the network, and asking for none
    would only shrink it. The source's row :math:`a` is a target and gets no gradient.

    Args:
        rows: `(n, d)` of composites, of any length.
        sources: `(n, d)` unit rows of the sources; detached here.

    Returns:
        `(n,)`.
    """
    length = rows.detach().norm(dim=1).clamp(min=1e-12)
    scores: Tensor = (rows * sources.detach()).sum(dim=1) / length
    return scores


def input_gradients(
    score: Callable[[Tensor], tuple[Tensor, ...]], inputs: Tensor
) -> tuple[Tensor, ...]:
    """The gradient of each score at the inputs, itself differentiable by what made the scores.

    Scores and gradients are computed in float32 at least, also inside autocast: squares of small
    gradients would vanish in half precision.

    Args:
        score: from `(n, ...)` inputs to scores `(n,)`, one tensor for each gradient that is wanted.
            The score of a sample must depend on that sample alone, or its gradient is another's as
            well; `still_batch_norm` makes batch norm so.
        inputs: `(n, ...)`, any shape; detached here.

    Returns:
        One `(n, ...)` for each score.
    """
    wide = torch.promote_types(inputs.dtype, torch.float32)
    leaves = inputs.detach().to(wide).requires_grad_()
    with torch.enable_grad(), torch.autocast(inputs.device.type, enabled=False):
        scores = score(leaves)
        return tuple(
            torch.autograd.grad(each.to(wide).sum(), leaves, create_graph=True)[0]
            for each in scores
        )


def mixing_penalty(first: Tensor, second: Tensor, mask: Tensor, *, over: Over = "sum") -> Tensor:
    r"""What the score of each source owes to the places of the other, averaged over samples.

    .. math:: \frac1n \sum_i \big\lVert (1 - M_i) \odot g_i + M_i \odot h_i \big\rVert^2

    For a mask of zeros and ones these are the two masked norms added up, since no place is in both.
    For a soft mask it is the norm of the sum, as in the paper: where places are shared, gradients
    that cancel out are free.

    Args:
        first: `(n, ...)` gradients :math:`g` of the scores of the first sources.
        second: `(n, ...)` gradients :math:`h` of the scores of the second sources.
        mask: `(n, ...)` in [0, 1], the first source's share; dimensions of size 1 are repeated.
        over: sum or mean over the elements of an input.

    Returns:
        Scalar.
    """
    mask = mask.to(first.dtype)
    return squared_length((1 - mask) * first + mask * second, over=over)


def editing_penalty(gradient: Tensor, mask: Tensor, *, over: Over = "sum") -> Tensor:
    r"""What the score of the edited picture's source owes to what was edited.

    .. math:: \frac1n \sum_i \big\lVert (1 - M_i) \odot g_i \big\rVert^2

    Args:
        gradient: `(n, ...)` gradients :math:`g` of the scores.
        mask: `(n, ...)` in [0, 1], 1 where a place is unedited; dimensions of size 1 are repeated.
        over: sum or mean over the elements of an input.

    Returns:
        Scalar.
    """
    return squared_length((1 - mask.to(gradient.dtype)) * gradient, over=over)


def squared_length(gradients: Tensor, *, over: Over = "sum") -> Tensor:
    """Squares of `(n, ...)` added up or averaged over a sample, then averaged over samples.

    Of whole gradients it is the control: a penalty that knows nothing of where a place comes from.
    """
    squares = gradients.flatten(1).square()
    return (squares.sum(dim=1) if over == "sum" else squares.mean(dim=1)).mean()


def share_off_target(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    r"""Which share of the squared gradients lies in the other source's places, `(n,)` in [0, 1].

    .. math:: \frac{\lVert (1-M) \odot g \rVert^2 + \lVert M \odot h \rVert^2}
              {\lVert g \rVert^2 + \lVert h \rVert^2}

    A measure, not a loss: shrinking all gradients alike does not change it.
    """
    mask = mask.to(first.dtype)
    off = ((1 - mask) * first).flatten(1).square() + (mask * second).flatten(1).square()
    whole = first.flatten(1).square() + second.flatten(1).square()
    return off.sum(dim=1) / whole.sum(dim=1).clamp(min=torch.finfo(whole.dtype).tiny)
