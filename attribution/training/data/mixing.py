"""Views made of two images: the structure of one, the appearance of the other.

Generated images inherit like that (DESIGN, Method 4: synthesis-aware alignment); a view that
does so teaches an encoder to find both sources without a label. All functions take and return
`(n, 3, s, s)` float32 in [0, 1]; row `i` joins `structure[i]` with `appearance[i]`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional

from attribution.synthesis.composites.regions import rectangles
from attribution.training.data.views import YIQ
from models.backbones.gradients import luminance

LARGE = 96  # side in pixels above which patches are twice as large


def mix(structure: Tensor, appearance: Tensor, generator: Generator) -> Tensor:
    """Join each pair in a way drawn at random among the five kinds that keep roles apart.

    The collage below is none of them: a pasted region has both structure and appearance.
    """
    n = structure.shape[0]
    assigned = torch.randint(len(_KINDS), (n,), generator=generator, device=structure.device)
    mixed = torch.empty_like(structure)
    for index, kind in enumerate(_KINDS):
        rows = (assigned == index).nonzero().squeeze(1)
        if len(rows):
            mixed[rows] = kind(structure[rows], appearance[rows], generator)
    return mixed


def transfer_statistics(structure: Tensor, appearance: Tensor, generator: Generator) -> Tensor:
    """Give one image the other's mean and deviation per YIQ channel (Reinhard et al., 2001)."""
    del generator
    to_yiq = structure.new_tensor(YIQ)
    a = torch.einsum("ij,njhw->nihw", to_yiq, structure)
    b = torch.einsum("ij,njhw->nihw", to_yiq, appearance)
    std_a, mean_a = torch.std_mean(a, dim=(2, 3), keepdim=True)
    std_b, mean_b = torch.std_mean(b, dim=(2, 3), keepdim=True)
    matched = (a - mean_a) * (std_b / std_a.clamp(min=0.02)).clamp(max=4) + mean_b
    return torch.einsum("ij,njhw->nihw", torch.linalg.inv(to_yiq), matched).clamp(0, 1)


def swap_amplitude(structure: Tensor, appearance: Tensor, generator: Generator) -> Tensor:
    """Keep the phase of one, take the amplitude of the other (Yang and Soatto, CVPR 2020).

    A random share of the amplitude is exchanged, at every frequency.
    """
    a, b = torch.fft.rfft2(structure), torch.fft.rfft2(appearance)
    share = 0.5 + 0.5 * torch.rand(len(a), 1, 1, 1, generator=generator, device=a.device)
    amplitude = (1 - share) * a.abs() + share * b.abs()
    mixed = torch.polar(amplitude, a.angle())
    restored: Tensor = torch.fft.irfft2(mixed, s=structure.shape[-2:])
    return restored.clamp(0, 1)


def resample_patches(structure: Tensor, appearance: Tensor, patch: int) -> Tensor:
    """Rebuild the layout of one image from whole patches of the other.

    Each patch of `structure` is replaced by the patch of `appearance` with the nearest
    luminance, after both luminances are standardised.
    """
    n, _, size, _ = structure.shape
    wanted = functional.unfold(_standard_luma(structure), patch, stride=patch)
    offered = functional.unfold(_standard_luma(appearance), patch, stride=patch // 2)
    distance = offered.square().sum(1)[:, None, :] - 2 * torch.bmm(
        wanted.transpose(1, 2), offered
    )  # the square of `wanted` shifts all candidates alike
    nearest = distance.argmin(dim=2)
    pixels = functional.unfold(appearance, patch, stride=patch // 2)
    chosen = pixels.gather(2, nearest[:, None, :].expand(-1, pixels.shape[1], -1))
    return functional.fold(chosen, (size, size), patch, stride=patch).view(n, 3, size, size)


def collage(structure: Tensor, appearance: Tensor, generator: Generator) -> Tensor:
    """Paste a rectangle of one image over the other (Yun et al., ICCV 2019), 25 to 75 % of it."""
    n, _, size, _ = structure.shape
    inside = rectangles(n, (size, size), generator)
    return torch.where(inside, appearance, structure)


def _resampled(structure: Tensor, appearance: Tensor, side: int) -> Tensor:
    """Patches grow with the view: their comparisons grow with the fourth power of its side."""
    return resample_patches(
        structure, appearance, side if structure.shape[-1] <= LARGE else 2 * side
    )


def _standard_luma(images: Tensor) -> Tensor:
    luma = luminance(images)
    std, mean = torch.std_mean(luma, dim=(2, 3), keepdim=True)
    return (luma - mean) / std.clamp(min=0.02)


_KINDS: tuple[Callable[[Tensor, Tensor, Generator], Tensor], ...] = (
    transfer_statistics,
    swap_amplitude,
    lambda a, b, _: _resampled(a, b, 4),  # fine layout kept
    lambda a, b, _: _resampled(a, b, 8),  # whole textures kept
    lambda a, b, generator: swap_amplitude(_resampled(a, b, 4), b, generator),  # both damages
)
