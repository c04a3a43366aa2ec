"""Edits of one picture that need no weights, and the mask of what an edit left as it was.

Stand-ins for a diffusion model's edits: a region in another colour, and a hole filled with what
the rest of the picture looks like. The mask is found from the two pictures alone, as it would be
for any editor.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from attribution.synthesis.composites.composite import Composites
from attribution.synthesis.composites.regions import ellipses, rectangles
from attribution.synthesis.nearest_neighbours import nearest, patches_of, vote
from attribution.synthesis.otsu import otsu
from models.backbones.gradients import LUMA, luminance

_EDITED = (0.1, 0.3)  # share of the frame
_HOLE = (0.05, 0.15)
_PATCH_SIDE = 7
_FILLING_ROUNDS = 3
_PLAIN = 1.0  # makes `nearest` as good as the plain nearest neighbour


def recolour(images: Tensor, sources: Tensor, generator: Generator) -> Composites:
    """A round region tinted: its luminance in a random colour, blended in softly.

    Args:
        images: `(n, 3, h, w)`.
        sources: `(m, 1)` rows.
        generator: of regions and colours.
    """
    before = _edited_rows(images, sources)
    size = (images.shape[-2], images.shape[-1])
    region = ellipses(len(before), size, generator, share=_EDITED)
    tint = 0.1 + 0.9 * torch.rand(len(before), 3, generator=generator, device=images.device)
    tint = (tint / (tint @ images.new_tensor(LUMA))[:, None])[:, :, None, None]
    after = (region * luminance(before) * tint + (1 - region) * before).clamp(0, 1)
    return Composites(after, unedited(before, after), sources)


def inpaint(images: Tensor, sources: Tensor, generator: Generator) -> Composites:
    """A rectangle removed and filled with patches from around it.

    The hole starts as another part of the picture; then each patch that reaches into it is
    replaced, three times over, by the nearest patch outside, and overlapping ones vote (after
    Wexler, Shechtman and Irani, "Space-Time Completion of Video", PAMI 2007, at one scale).

    Args:
        images: `(n, 3, h, w)`, on the CPU; the shorter side at least 16 pixels.
        sources: `(m, 1)` rows.
        generator: of the holes.
    """
    before = _edited_rows(images, sources)
    size = (images.shape[-2], images.shape[-1])
    holes = rectangles(len(before), size, generator, share=_HOLE)[:, 0]
    shifts = torch.rand(len(before), 2, generator=generator).tolist()
    after = torch.stack([_filled(*each) for each in zip(before, holes, shifts, strict=True)]).clamp(
        0, 1
    )
    return Composites(after, unedited(before, after), sources)


def unedited(before: Tensor, after: Tensor) -> Tensor:
    """`(n, 1, h, w)` float32: 1 where an edit changed no more than Otsu's threshold.

    The difference of a pixel is the mean over channels of absolute differences; each picture has a
    threshold of its own. Where nothing differs, everything is unedited. An edit that changes the
    whole picture, however little, has no such mask: the threshold then only splits strong changes
    from weak ones.

    Args:
        before: `(n, c, h, w)` in [0, 1].
        after: the same shape.
    """
    difference = (before - after).abs().mean(dim=1, keepdim=True)
    return torch.stack([(each <= otsu(each.cpu().numpy())).float() for each in difference])


def _edited_rows(images: Tensor, sources: Tensor) -> Tensor:
    if sources.ndim != 2 or sources.shape[1] != 1:
        raise ValueError(f"an edit has one source, so (m, 1) rows, not {tuple(sources.shape)}")
    return images[sources[:, 0]]


def _filled(image: Tensor, hole: Tensor, shift: list[float]) -> Tensor:
    """`image` `(3, h, w)` with other content where `hole` `(h, w)` is."""
    moved = [
        int((0.25 + 0.5 * part) * pixels) for part, pixels in zip(shift, hole.shape, strict=True)
    ]
    guess = torch.where(hole, image.roll(moved, dims=(1, 2)), image)
    side = min(_PATCH_SIDE, min(hole.shape) // 2)
    reaching = patches_of(hole[None].float(), side).amax(dim=1) > 0
    own = patches_of(image, side)
    offered = own[~reaching]
    places = torch.arange(len(own))
    for _ in range(_FILLING_ROUNDS):
        patches = patches_of(guess, side)
        patches[reaching] = offered[nearest(patches[reaching], offered, alpha=_PLAIN)]
        voted = vote(patches, places, size=(hole.shape[0], hole.shape[1]), side=side)
        guess = torch.where(hole, voted, image)
    return guess
