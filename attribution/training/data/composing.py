"""Composites for training whose provenance is known, drawn at random among the kinds of mix."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from attribution.synthesis.composites.composite import Composites
from attribution.synthesis.composites.pictures import MIXES


def compose(images: Tensor, sources: Tensor, generator: Generator) -> Composites:
    """Each pair joined by a kind of mix drawn at random.

    Args:
        images: `(n, 3, s, s)` in [0, 1].
        sources: `(m, 2)` rows of it.
        generator: of kinds and mixes.
    """
    count, kinds = len(sources), tuple(MIXES.values())
    assigned = torch.randint(len(kinds), (count,), generator=generator, device=images.device)
    mixed = images.new_empty(count, *images.shape[1:])
    masks = images.new_empty(count, 1, *images.shape[2:])
    for number, kind in enumerate(kinds):
        rows = (assigned == number).nonzero().squeeze(1)
        if len(rows):
            made = kind(images, sources[rows], generator)
            mixed[rows], masks[rows] = made.images, made.masks
    return Composites(mixed, masks, sources)
