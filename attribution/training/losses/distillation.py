"""DINO: a student that predicts its own momentum teacher across crops, without negatives."""

from __future__ import annotations

import torch
from torch import Tensor


def dino_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    centre: Tensor,
    *,
    student_temperature: float = 0.1,
    teacher_temperature: float = 0.04,
) -> Tensor:
    r"""Cross-entropy of the student's crops under the teacher's, over pairs of unlike crops.

    .. math:: -\frac{1}{n |P|} \sum_{(t, s) \in P} \sum_i
              \mathrm{softmax}\big((g^{(t)}_i - c) / \tau_t\big)^\top
              \log \mathrm{softmax}\big(f^{(s)}_i / \tau_s\big), \quad P = \{(t, s) : t \neq s\}

    Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021. Two
    forces keep the teacher from collapse: the centre `c` from one class for all images, the low
    temperature (sharpening) from equal weight for all classes. Neither suffices alone.

    Args:
        student_logits: `(s, n, k)`, crops by images by prototypes. The first `t` crops are the
            teacher's, in its order; local crops follow.
        teacher_logits: `(t, n, k)` of the global crops; no gradient flows into them.
        centre: `(k,)`, see `next_centre`.
        student_temperature: :math:`\tau_s`.
        teacher_temperature: :math:`\tau_t`, lower than the student's.

    Returns:
        Scalar.

    Raises:
        ValueError: fewer student crops than teacher crops, or no pair of unlike crops.
    """
    crops, seen = len(student_logits), len(teacher_logits)
    if crops < max(2, seen):
        raise ValueError(
            f"{crops} student crops for {seen} of the teacher leave no pair of unlike crops: "
            "the student sees every crop of the teacher, and at least two"
        )
    targets = ((teacher_logits.detach() - centre) / teacher_temperature).softmax(dim=-1)
    predicted = (student_logits / student_temperature).log_softmax(dim=-1)
    pairs = torch.einsum("tnk,snk->ts", targets, predicted) / student_logits.shape[1]
    unlike = ~torch.eye(seen, crops, dtype=torch.bool, device=pairs.device)
    return -pairs[unlike].mean()


@torch.no_grad()
def next_centre(centre: Tensor, teacher_logits: Tensor, momentum: float = 0.9) -> Tensor:
    r"""The centre after a batch, :math:`m c + (1 - m) \bar g` (Caron et al., ICCV 2021).

    On several processes average the result over them (`distributed.average`): it is linear in
    the batch.

    Args:
        centre: `(k,)`, zeros at the start.
        teacher_logits: `(t, n, k)` of the batch just used with the old centre.
        momentum: :math:`m`.
    """
    return momentum * centre + (1 - momentum) * teacher_logits.mean(dim=(0, 1))
