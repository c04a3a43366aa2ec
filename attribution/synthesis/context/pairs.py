"""Marginalisation without a model: a subject of one picture in front of another one of the set.

Few pictures show a subject in few contexts, so that a comparison learns the context with it.
"Beyond Objects" (arXiv 2510.24078) draws contexts from the whole set and has a tuned model paint
them; here the picture that a context is drawn from is itself what the subject is pasted on. So each
composite has a positive, whose subject it shows, and a negative, whose context it shows.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from attribution.synthesis.composites.composite import Composites
from attribution.synthesis.composites.pasting import paste
from attribution.synthesis.context.colours import lab
from attribution.synthesis.context.subject import subject_mask

FEATHER = 1 / 64
"""Of the shorter side: how far the border of a subject is softened, twice."""


def soft_mattes(images: Tensor, *, feather: float = FEATHER) -> Tensor:
    """How much of each pixel the subject of its picture covers.

    `subject_mask`, averaged twice over a square, which fades from 1 to 0 within `4 r` pixels.

    Args:
        images: `(n, 3, h, w)` in [0, 1], on any device.
        feather: `r` as a share of the shorter side, at least one pixel; 0 leaves the border hard.

    Returns:
        `(n, 1, h, w)` float32 in [0, 1].
    """
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    found = np.stack([subject_mask(lab(each)) for each in pixels])
    mattes = torch.from_numpy(found)[:, None].float().to(images.device)
    if feather == 0:
        return mattes
    radius = max(1, round(feather * min(images.shape[-2:])))
    for _ in range(2):
        mattes = functional.avg_pool2d(
            mattes, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False
        )
    return mattes.clamp(0, 1)


def draw_contexts_of(subjects: Tensor, pictures: int, generator: Generator) -> Tensor:
    r"""For each subject the picture whose context it gets: any but its own, uniformly.

    .. math:: B = (A + 1 + U) \bmod n, \qquad U \sim \{0, \dots, n - 2\}

    `U` does not depend on `A`, so that nothing is learnt of a subject from its context but that it
    is not its own. All that a picture shows comes with it: background and what stands there.

    Args:
        subjects: `(m,)` rows of pictures, `A`.
        pictures: `n`, two at least.
        generator: on the device of the subjects.

    Raises:
        ValueError: there is no other picture.
    """
    if pictures < 2:
        raise ValueError(f"{pictures} pictures have no context but their own: give two or more")
    offsets = torch.randint(
        pictures - 1, subjects.shape, generator=generator, device=subjects.device
    )
    return (subjects + 1 + offsets) % pictures


def pair_subjects(
    images: Tensor, subjects: Tensor, generator: Generator, *, mattes: Tensor | None = None
) -> Composites:
    """Each subject in front of a picture that is drawn from the whole set.

    Args:
        images: `(n, 3, h, w)` in [0, 1], the whole set.
        subjects: `(m,)` rows of it.
        generator: of the contexts.
        mattes: `(n, 1, h, w)` in [0, 1] of all pictures; `soft_mattes` by default.

    Returns:
        `m` composites; of their `sources` the first is the positive and the second the negative.
    """
    contexts = draw_contexts_of(subjects, len(images), generator)
    if mattes is None:
        mattes = soft_mattes(images)
    return paste(images, torch.stack([subjects, contexts], dim=1), generator, mattes=mattes)
