"""Synthetic images made from the patches of one real image or of two, with no weights to train.

Granot, Feinstein, Shocher, Bagon, Irani, "Drop the GAN: In Defense of Patches Nearest Neighbors
as Single Image Generative Models", CVPR 2022: from a coarse guess to the finest scale, every patch
of the guess is replaced by the patch of the source that matches it best. All that is seen comes
from the source; where it stands is new. Knows images and seeds, no files and no manifests.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from attribution.synthesis.nearest_neighbours import (
    grid,
    nearest,
    patches_of,
    principal_axes,
    vote,
)
from attribution.synthesis.recolouring import recoloured, recolouring

# The pyramid: ratio of a level to the next finer one, and the short side where it ends, in pixels.
_RATIO = 0.75
_COARSEST_SIDE = 18
_PATCH_SIDE = 7
# Equation 2 of the paper; smaller asks more strongly that the whole of the source appears. Patches
# of another picture fit a layout badly, and without a stronger one few of them would ever be used.
_ALPHA = 0.005
_ALPHA_OF_TWO = 0.001
# Replacements of all patches at a level, and at a fine level, where each costs more.
_ROUNDS = 4
_FINE_ROUNDS = 2
# A level with more pixels than this is fine: it replaces every third patch, searched for in fewer
# dimensions.
_COARSE_PIXELS = 3_000
_FINE_STRIDE = 3
_REDUCED_DIMENSION = 16

# A new layout: this share of the coarsest patches has to leave its place. The noise that brings it
# about depends on the picture (the paper's one value copied half of ours), hence several strengths
# to try, in units of the picture's contrast.
_MOVED_SHARE = 0.5
_NOISE_STRENGTHS = tuple(1.25**step for step in range(14))

# Two sources: the short side at which the structure's layout is taken over, in pixels; the noise
# on it, in units of contrast; and how far each finer level is drawn back to it before the search.
_LAYOUT_SIDE = 30
_LAYOUT_NOISE = 0.25
_LAYOUT_PULL = 0.65


def from_one(source: Image.Image, *, seed: int, size: int = 192) -> Image.Image:
    """A new arrangement of one image: its own patches, another layout.

    Args:
        source: any mode; it is read as RGB.
        seed: the same seed gives the same pixels on the same machine.
        size: long side of the result in pixels; the source is scaled to it, up or down.

    Returns:
        RGB, with the proportions of `source`.

    Raises:
        ValueError: `size` is below 1.
    """
    levels = _pyramid(source, size)
    guess = _rearranged(levels[0], torch.Generator().manual_seed(seed))
    for coarser, level in pairwise(levels):
        guess = _rebuilt(_resized(guess, level), coarser, level, alpha=_ALPHA)
    return _image(guess)


def from_two(
    structure: Image.Image, appearance: Image.Image, *, seed: int, size: int = 192
) -> Image.Image:
    """The layout of one image rebuilt from the patches of another.

    The structure is first given the colours of the appearance, so that its patches find
    neighbours there at all.

    Args:
        structure: gives what stands where, and the proportions of the result.
        appearance: gives every patch, so colours and textures.
        seed: the same seed gives the same pixels on the same machine.
        size: long side of the result in pixels; both images are scaled to it first.

    Returns:
        RGB, with the proportions of `structure`.

    Raises:
        ValueError: `size` is below 1.
    """
    layouts, levels = _pyramid(structure, size), _pyramid(appearance, size)
    matrix, offset = recolouring(layouts[-1], levels[-1])
    layouts = [recoloured(layout, matrix, offset) for layout in layouts]
    depth = min(len(levels), sum(min(_size(layout)) >= _LAYOUT_SIDE for layout in layouts)) or 1
    layouts, levels = layouts[-depth:], levels[-depth:]

    coarsest = layouts[0]
    noise = torch.randn(coarsest.shape, generator=torch.Generator().manual_seed(seed))
    guess = coarsest + _LAYOUT_NOISE * _contrast(coarsest) * noise
    guess = _rebuilt(guess, levels[0], levels[0], alpha=_ALPHA_OF_TWO)
    for layout, (coarser, level) in zip(layouts[1:], pairwise(levels), strict=True):
        guess = torch.lerp(_resized(guess, layout), layout, _LAYOUT_PULL)
        guess = _rebuilt(guess, coarser, level, alpha=_ALPHA_OF_TWO)
    return _image(guess)


def _rearranged(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The coarsest `image` in another layout, by the weakest noise that moves enough patches."""
    noise = torch.randn(image.shape, generator=generator) * _contrast(image)
    guess = image
    for strength in _NOISE_STRENGTHS:
        guess = _replaced(image + strength * noise, image, image, alpha=_ALPHA)
        if _moved_share(guess, image) >= _MOVED_SHARE:
            break
    return guess


def _moved_share(guess: torch.Tensor, image: torch.Tensor) -> float:
    """Share of the patches of `guess` that `image` shows at another place."""
    side = _patch_side(image)
    keys = patches_of(image, side)
    found = nearest(patches_of(guess, side), keys, alpha=_ALPHA)
    home, width = torch.arange(len(keys)), image.shape[2] - side + 1
    down, across = (found // width - home // width).abs(), (found % width - home % width).abs()
    # A patch one pixel away shows the same thing.
    return float((torch.maximum(down, across) > 1).float().mean())


def _rebuilt(
    guess: torch.Tensor, coarser: torch.Tensor, level: torch.Tensor, *, alpha: float
) -> torch.Tensor:
    """`guess` (3, h, w) made of patches of `level` (3, h', w').

    The first search compares it with the next `coarser` level scaled up, because the guess was
    scaled up too: both are equally blurred. What it finds is taken from the sharp level.
    """
    keys = _resized(coarser, level)
    for _ in range(_FINE_ROUNDS if _is_fine(guess) else _ROUNDS):
        guess = _replaced(guess, keys, level, alpha=alpha)
        keys = level
    return guess


def _replaced(
    guess: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, *, alpha: float
) -> torch.Tensor:
    """`guess` with each patch replaced by the one of `values` where `keys` matches it."""
    side = _patch_side(guess, values)
    height, width = (pixels - side + 1 for pixels in _size(guess))
    positions = grid(height, width, stride=min(side, _FINE_STRIDE) if _is_fine(guess) else 1)
    queries, key_patches = patches_of(guess, side, positions), patches_of(keys, side)
    if _is_fine(guess):
        axes = principal_axes(key_patches, dimension=_REDUCED_DIMENSION)
        # Distances are means over the dimension, and alpha is meant for those of whole patches.
        scale = (axes.shape[1] / axes.shape[0]) ** 0.5
        queries, key_patches = queries @ axes * scale, key_patches @ axes * scale
    found = nearest(queries, key_patches, alpha=alpha)
    return vote(patches_of(values, side, found), positions, size=_size(guess), side=side)


def _is_fine(image: torch.Tensor) -> bool:
    return image[0].numel() > _COARSE_PIXELS


def _pyramid(image: Image.Image, size: int) -> list[torch.Tensor]:
    """`image` at growing scales, (3, h, w) each, the last with `size` as its long side."""
    if size < 1:
        raise ValueError(f"size is the long side in pixels: choose 1 or more, not {size}")
    image = image.convert("RGB")
    scale = size / max(image.size)
    levels: list[torch.Tensor] = []
    while True:
        width, height = (max(1, round(side * scale)) for side in image.size)
        if levels and min(width, height) < _COARSEST_SIDE:
            return levels[::-1]
        levels.append(_tensor(image.resize((width, height), Image.Resampling.LANCZOS)))
        scale *= _RATIO


def _patch_side(*images: torch.Tensor) -> int:
    """The largest odd side up to 7 that is at most half of every image's short side."""
    shortest = min(min(_size(image)) for image in images)
    side = min(_PATCH_SIDE, max(1, shortest // 2))
    return side if side % 2 else side - 1


def _size(image: torch.Tensor) -> tuple[int, int]:
    return image.shape[1], image.shape[2]


def _contrast(image: torch.Tensor) -> torch.Tensor:
    """Standard deviation of all values, at least one step of 8 bits."""
    return image.std(correction=0).clamp(min=1 / 127.5)


def _resized(image: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if _size(image) == _size(like):
        return image
    return functional.interpolate(image.unsqueeze(0), size=_size(like), mode="bicubic")[0]


def _tensor(image: Image.Image) -> torch.Tensor:
    """(3, h, w) float32 in [-1, 1]."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    return pixels.float() / 127.5 - 1


def _image(pixels: torch.Tensor) -> Image.Image:
    values = ((pixels + 1) * 127.5).round().clamp(0, 255).byte()
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())
