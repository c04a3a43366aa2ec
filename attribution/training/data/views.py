"""Random views of a batch of images, as batched tensor operations on any device.

Images are `(n, 3, s, s)` float32 in [0, 1]. Every function draws from the generator it is
given and from nothing else, so that a step can be repeated exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor
from torch.nn import functional

from models.backbones.gradients import LUMA

# Rows Y, I, Q of the NTSC transform: hue is a rotation in the I-Q plane.
YIQ = (LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True, slots=True)
class ViewRecipe:
    """How far a view may stray from its image."""

    scale: tuple[float, float]
    """Area of the crop, as a fraction of the image."""
    aspect: float = 4 / 3
    """Largest stretch of the crop in either direction."""
    brightness: float = 0.15
    """Largest relative change; contrast shares it."""
    saturation: float = 0.15
    hue: float = 0.03
    """Largest turn, as a fraction of the full circle."""
    greyscale: float = 0.0
    """Probability of losing all colour."""
    degrade: float = 0.0
    """Probability of a lossy journey: resampling, compression, noise."""


MILD = ViewRecipe(scale=(0.3, 1.0))
STRONG = ViewRecipe(
    scale=(0.2, 1.0), brightness=0.3, saturation=0.5, hue=0.08, greyscale=0.1, degrade=0.5
)
PLACED = ViewRecipe(
    scale=(0.5, 1.0), brightness=0.25, saturation=0.4, hue=0.06, greyscale=0.05, degrade=0.6
)
"""Of `crop_in_place`: what is passed on is mostly there, about where it was."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Crop boxes, one an image, in coordinates where the image spans [-1, 1]; each `(n,)`."""

    x: Tensor
    y: Tensor
    half_width: Tensor
    half_height: Tensor
    mirror: Tensor
    """-1 where the crop is flipped left to right, else 1."""

    def __getitem__(self, rows: slice) -> Boxes:
        """The boxes of some of the images."""
        return Boxes(
            self.x[rows],
            self.y[rows],
            self.half_width[rows],
            self.half_height[rows],
            self.mirror[rows],
        )


def make_view(images: Tensor, size: int, recipe: ViewRecipe, generator: Generator) -> Tensor:
    """One random view of each image, `(n, 3, size, size)` in [0, 1]."""
    boxes = draw_boxes(images, recipe.scale, recipe.aspect, generator)
    return colour_view(crop(images, boxes, size), recipe, generator)


def mild_or_strong(images: Tensor, size: int, generator: Generator) -> Tensor:
    """One view of each image as `make_view`, `MILD` of the first half and `STRONG` of the rest."""
    half = len(images) // 2
    mild = make_view(images[:half], size, MILD, generator)
    return torch.cat([mild, make_view(images[half:], size, STRONG, generator)])


def crop_in_place(images: Tensor, size: int, generator: Generator) -> Tensor:
    """A random crop of `PLACED`'s area of each image, never mirrored: `(n, 3, size, size)`."""
    boxes = draw_boxes(images, PLACED.scale, PLACED.aspect, generator)
    return crop(images, replace(boxes, mirror=torch.ones_like(boxes.mirror)), size)


def colour_view(cropped: Tensor, recipe: ViewRecipe, generator: Generator) -> Tensor:
    """What a recipe does to a crop: its colours, then perhaps a lossy journey."""
    view = jitter_colour(cropped, recipe, generator)
    if recipe.degrade > 0:
        view = degrade(view, recipe.degrade, generator)
    return view


def draw_boxes(
    images: Tensor, scale: tuple[float, float], aspect: float, generator: Generator
) -> Boxes:
    """A random box of each image, of an area within `scale`, half of them flipped."""
    n = len(images)
    area = _uniform(n, *scale, generator, images)
    stretch = _uniform(n, -math.log(aspect), math.log(aspect), generator, images).exp().sqrt()
    side = area.sqrt()
    half_w, half_h = (side * stretch).clamp(max=1.0), (side / stretch).clamp(max=1.0)
    x = (1 - half_w) * _uniform(n, -1, 1, generator, images)
    y = (1 - half_h) * _uniform(n, -1, 1, generator, images)
    mirror = torch.where(_uniform(n, 0, 1, generator, images) < 0.5, -1.0, 1.0)
    return Boxes(x, y, half_w, half_h, mirror)


def draw_inside(boxes: Boxes, scale: tuple[float, float], generator: Generator) -> Boxes:
    """A random box inside each box, of an area within `scale` of it and with the same flip.

    Two crops related like this keep their layout: what is top left in one is top left in the
    other.
    """
    n, like = len(boxes.x), boxes.x
    half_w = boxes.half_width * _uniform(n, *scale, generator, like).sqrt()
    half_h = boxes.half_height * _uniform(n, *scale, generator, like).sqrt()
    x = boxes.x + (boxes.half_width - half_w) * _uniform(n, -1, 1, generator, like)
    y = boxes.y + (boxes.half_height - half_h) * _uniform(n, -1, 1, generator, like)
    return Boxes(x, y, half_w, half_h, boxes.mirror)


def crop(images: Tensor, boxes: Boxes, size: int) -> Tensor:
    """Cut the boxes out, `(n, 3, size, size)`, sampled at twice the size and averaged.

    The averaging is the low-pass filter that bilinear sampling lacks when it shrinks.
    """
    # What `affine_grid` gives, without its product of matrices: a box is neither turned nor skewed.
    centres = (2 * torch.arange(2 * size, device=images.device) + 1) / (2 * size) - 1
    across = (boxes.half_width * boxes.mirror)[:, None] * centres + boxes.x[:, None]
    down = boxes.half_height[:, None] * centres + boxes.y[:, None]
    shape = (len(images), 2 * size, 2 * size)
    grid = torch.stack([across[:, None, :].expand(shape), down[:, :, None].expand(shape)], dim=3)
    sampled = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return functional.avg_pool2d(sampled, 2)


def jitter_colour(images: Tensor, recipe: ViewRecipe, generator: Generator) -> Tensor:
    """Brightness, contrast, saturation and hue as one affine map of RGB per image."""
    n = images.shape[0]
    to_yiq = images.new_tensor(YIQ)
    amount = recipe.brightness
    brightness = _uniform(n, 1 - amount, 1 + amount, generator, images)
    contrast = _uniform(n, 1 - amount, 1 + amount, generator, images)
    saturation = _uniform(n, 1 - recipe.saturation, 1 + recipe.saturation, generator, images)
    grey = _uniform(n, 0, 1, generator, images) < recipe.greyscale
    saturation = torch.where(grey, 0.0, saturation)
    turn = 2 * math.pi * _uniform(n, -recipe.hue, recipe.hue, generator, images)
    one, zero = torch.ones_like(turn), torch.zeros_like(turn)
    rows = [
        torch.stack([one, zero, zero], dim=1),
        torch.stack([zero, saturation * turn.cos(), -saturation * turn.sin()], dim=1),
        torch.stack([zero, saturation * turn.sin(), saturation * turn.cos()], dim=1),
    ]
    colour = torch.linalg.inv(to_yiq) @ torch.stack(rows, dim=1) @ to_yiq
    colour = colour * (brightness * contrast)[:, None, None]
    mean = images.mean(dim=(1, 2, 3))
    offset = (mean * brightness * (1 - contrast))[:, None, None]
    mixed = torch.bmm(colour, images.flatten(2)) + offset
    return mixed.clamp(0, 1).view_as(images)


def degrade(images: Tensor, probability: float, generator: Generator) -> Tensor:
    """Send some images on a lossy journey: down and up again, block transform, noise."""
    n, _, size, _ = images.shape
    result = images
    factor = float(_uniform(1, 0.4, 0.9, generator, images))
    small = functional.interpolate(
        result, size=max(8, round(size * factor)), mode="bilinear", antialias=True
    )
    resampled = functional.interpolate(small, size=size, mode="bilinear")
    result = torch.where(_chosen(n, probability, generator, images), resampled, result)
    compressed = block_quantise(result, _uniform(n, 0.02, 0.25, generator, images))
    result = torch.where(_chosen(n, probability, generator, images), compressed, result)
    strength = _uniform(n, 0.0, 0.05, generator, images)[:, None, None, None]
    noise = torch.empty_like(result).normal_(generator=generator) * strength
    chosen = _chosen(n, probability * 0.5, generator, images)
    return torch.where(chosen, result + noise, result).clamp(0, 1)


def block_quantise(images: Tensor, step: Tensor, block: int = 8) -> Tensor:
    """Round the cosine coefficients of 8x8 blocks, more coarsely at high frequencies.

    What block-transform coders do to a picture, without a table of any one of them.
    `step` `(n,)` is the size of a rounding step at the highest frequency, in units of [0, 1].
    """
    n, c, height, width = images.shape
    basis = cosine_basis(block).to(images)
    blocks = images.view(n, c, height // block, block, width // block, block)
    coefficients = torch.einsum("ab,ncibjd,ed->nciaje", basis, blocks, basis)
    ramp = torch.arange(block, device=images.device, dtype=images.dtype)
    weight = 0.15 + (ramp[:, None] + ramp[None, :]) / (2 * (block - 1))
    width_of_step = step[:, None, None, None, None, None] * weight[None, None, None, :, None, :]
    width_of_step = width_of_step * block
    rounded = (coefficients / width_of_step).round() * width_of_step
    restored = torch.einsum("ab,nciaje,ed->ncibjd", basis, rounded, basis)
    return restored.reshape(n, c, height, width).clamp(0, 1)


def cosine_basis(size: int) -> Tensor:
    """Orthonormal DCT-II matrix, `(size, size)`, rows are frequencies."""
    position = torch.arange(size, dtype=torch.float64) + 0.5
    frequency = torch.arange(size, dtype=torch.float64)
    basis = torch.cos(math.pi / size * frequency[:, None] * position[None, :])
    basis[0] /= math.sqrt(2)
    return basis * math.sqrt(2 / size)


def _uniform(n: int, low: float, high: float, generator: Generator, like: Tensor) -> Tensor:
    return torch.rand(n, generator=generator, device=like.device) * (high - low) + low


def _chosen(n: int, probability: float, generator: Generator, like: Tensor) -> Tensor:
    return (_uniform(n, 0, 1, generator, like) < probability)[:, None, None, None]
