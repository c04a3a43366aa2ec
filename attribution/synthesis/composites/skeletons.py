"""Sequences of skeletons joined, with a mask over person, frame and joint.

A sequence is `(c, p, f, e)`: coordinates and confidence of joint `e` of person `p` in frame `f`.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from attribution.synthesis.composites.composite import Composites, pair_of


def join_persons(sequences: Tensor, sources: Tensor, generator: Generator) -> Composites:
    """The persons of both sequences in one, in random slots.

    BatchMix of Hachiuma, Sato and Sekii, "Unified Keypoint-based Action Recognition Framework via
    Structured Keypoint Pooling", CVPR 2023, with the mask of who came from where.

    Args:
        sequences: `(n, c, p, f, e)`.
        sources: `(m, 2)` rows.
        generator: of the slots, so that a place among the persons tells nothing.

    Returns:
        Sequences `(m, c, 2p, f, e)`, masks `(m, 1, 2p, f, e)`.
    """
    first, second = pair_of(sequences, sources)
    both = torch.cat([first, second], dim=2)
    count, _, persons, frames, joints = both.shape
    drawn = torch.rand(count, persons, generator=generator, device=both.device)
    slots = drawn.argsort(dim=1)[:, None, :, None, None]
    masks = (slots < persons // 2).float().expand(-1, -1, -1, frames, joints)
    return Composites(both.gather(2, slots.expand_as(both)), masks.contiguous(), sources)


def cut_frames(sequences: Tensor, sources: Tensor, generator: Generator) -> Composites:
    """The first sequence with a stretch of the second's frames: a quarter to three quarters.

    CutMix along time; ours, for who acts when.

    Args:
        sequences: `(n, c, p, f, e)`.
        sources: `(m, 2)` rows.
        generator: of the stretches.
    """
    first, second = pair_of(sequences, sources)
    frames, device = first.shape[3], sequences.device
    length, start = torch.rand(2, len(first), 1, generator=generator, device=device)
    length = 0.25 + 0.5 * length
    start = (1 - length) * start
    place = (torch.arange(frames, device=device) + 0.5) / frames
    inside = ((place >= start) & (place < start + length))[:, None, None, :, None]
    masks = (~inside).float().expand(-1, 1, first.shape[2], -1, first.shape[4])
    return Composites(torch.where(inside, second, first), masks.contiguous(), sources)
