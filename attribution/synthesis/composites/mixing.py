"""Two pictures in one frame, each pixel of one or the other: CutMix, ResizeMix, PuzzleMix-like."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from attribution.synthesis.composites.composite import Composites, pair_of
from attribution.synthesis.composites.regions import RECTANGLE_SHARE, rectangles
from models.backbones.gradients import luminance

RESIZED = (0.1, 0.8)
"""Least and largest scale of what ResizeMix pastes, as in its paper."""
CELLS = 8
"""Of the grid on which the puzzle is solved, along the long side of a frame."""


def cutmix(images: Tensor, sources: Tensor, generator: Generator) -> Composites:
    """A rectangle of the second picture at its own place in the first.

    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features", ICCV 2019. Unlike there, the rectangle has a quarter to three quarters of the frame
    and is nowhere cut off by its border.

    Args:
        images: `(n, 3, h, w)`.
        sources: `(m, 2)` rows: the picture pasted on, and the one pasted.
        generator: of the rectangles.
    """
    first, second = pair_of(images, sources)
    inside = rectangles(len(sources), _frame(images), generator)
    return Composites(torch.where(inside, second, first), (~inside).float(), sources)


def resizemix(images: Tensor, sources: Tensor, generator: Generator) -> Composites:
    """The whole second picture, scaled down, at a random place in the first.

    Qin et al., "ResizeMix: Mixing Data with Preserved Object Information and True Labels", 2020:
    what a crop cuts away is kept, so that the label is true.

    Args:
        images: `(n, 3, h, w)`.
        sources: `(m, 2)` rows: the picture pasted on, and the one pasted.
        generator: of scales and places.
    """
    first, second = pair_of(images, sources)
    device, frame = images.device, _frame(images)
    low, high = RESIZED
    drawn = torch.rand(len(sources), 3, generator=generator, device=device).tolist()
    mixed, masks = first.clone(), first.new_ones(len(sources), 1, *frame)
    for row, (size, down, across) in enumerate(drawn):
        scale = low + (high - low) * size
        height, width = (max(1, round(pixels * scale)) for pixels in frame)
        top = int(down * (frame[0] - height + 1))
        left = int(across * (frame[1] - width + 1))
        small = functional.interpolate(
            second[row : row + 1], size=(height, width), mode="bilinear", antialias=True
        )
        mixed[row, :, top : top + height, left : left + width] = small[0]
        masks[row, :, top : top + height, left : left + width] = 0
    return Composites(mixed, masks.float(), sources)


def puzzlemix(images: Tensor, sources: Tensor, generator: Generator) -> Composites:
    """Each cell of a grid from the picture that has more to show there.

    After Kim, Choo and Song, "Puzzle Mix: Exploiting Saliency and Local Statistics for Optimal
    Mixup", ICML 2020. Simpler than theirs: cells are of one picture or the other, nothing is moved,
    saliency is the contrast of the luminance, and instead of a graph cut the difference of the two
    is smoothed over neighbours and cut at the quantile that gives the first picture its share.

    Args:
        images: `(n, 3, h, w)`.
        sources: `(m, 2)` rows.
        generator: of the share of the first picture, a quarter to three quarters.
    """
    first, second = pair_of(images, sources)
    frame = _frame(images)
    low, high = RECTANGLE_SHARE
    drawn = torch.rand(len(sources), generator=generator, device=images.device)
    rows, columns = (max(1, round(CELLS * pixels / max(frame))) for pixels in frame)
    shown = functional.adaptive_avg_pool2d(_contrast(images), (rows, columns))
    shown = shown / shown.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
    gain = shown[sources[:, 0]] - shown[sources[:, 1]]
    smooth = functional.avg_pool2d(gain, 3, stride=1, padding=1, count_include_pad=False)
    ordered = (gain + smooth).flatten(1).argsort(dim=1, descending=True).argsort(dim=1)
    cells = ordered.shape[1]
    taken = ((low + (high - low) * drawn) * cells).round().clamp(1, max(1, cells - 1))
    solved = (ordered < taken[:, None]).float().view(-1, 1, rows, columns)
    masks = functional.interpolate(solved, size=frame, mode="nearest")
    return Composites(torch.where(masks > 0, first, second), masks, sources)


def _contrast(images: Tensor) -> Tensor:
    """`(n, 1, h, w)`: length of the gradient of the luminance."""
    padded = functional.pad(luminance(images), (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return (across.square() + down.square()).sqrt()


def _frame(images: Tensor) -> tuple[int, int]:
    return images.shape[-2], images.shape[-1]
