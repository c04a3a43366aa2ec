"""Oriented gradients against the definition, and what they are good for."""

import math

import numpy as np
import pytest
import torch

from models.backbones.gradients import (
    CELLS,
    COLUMNS,
    ORIENTATIONS,
    mirrored,
    oriented_gradients,
    votes_of_maps,
    votes_of_pixels,
)


def picture(seed=0, side=40):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 7, 7, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=side, mode="bicubic")


def slow(image):
    """The definition, a pixel at a time."""
    luma = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
    side = luma.shape[0]
    cell = side // CELLS
    votes = np.zeros((ORIENTATIONS, CELLS, CELLS))
    for y in range(side):
        for x in range(side):
            across = luma[y, min(x + 1, side - 1)] - luma[y, max(x - 1, 0)]
            down = luma[min(y + 1, side - 1), x] - luma[max(y - 1, 0), x]
            length = math.sqrt(across**2 + down**2 + 1e-8)
            place = (math.atan2(down, across) % math.pi) / math.pi * ORIENTATIONS
            low, share = int(place) % ORIENTATIONS, place - int(place)
            votes[low, y // cell, x // cell] += (1 - share) * length / cell**2
            votes[(low + 1) % ORIENTATIONS, y // cell, x // cell] += share * length / cell**2
    result = np.zeros_like(votes)
    for row in range(CELLS):
        for column in range(CELLS):
            rows = slice(max(row - 1, 0), row + 2)
            columns = slice(max(column - 1, 0), column + 2)
            around = votes[:, rows, columns]
            energy = (around**2).sum() / (around.shape[1] * around.shape[2]) * 9
            scaled = votes[:, row, column] / math.sqrt(energy + 1e-4)
            result[:, row, column] = np.sqrt(np.minimum(scaled, 0.4))
    return result.reshape(-1)


@pytest.mark.parametrize("seed", [0, 1])
def test_they_equal_the_definition(seed):
    image = picture(seed)
    found = oriented_gradients(image)[0]
    assert found.shape == (COLUMNS,)
    assert np.allclose(found.numpy(), slow(image[0].double().numpy()), atol=2e-4)


@pytest.mark.parametrize("size", [(40, 40), (32, 64)])
def test_a_vote_a_pixel_is_what_a_map_an_orientation_gives(size):
    draw = torch.Generator().manual_seed(0)
    length = torch.rand(3, *size, generator=draw)
    angle = 9 * torch.rand(3, *size, generator=draw)
    angle[0, 0, :4] = torch.tensor([0.0, 8.0, 8.5, 9.0])  # what rounding can make of just below 0
    found = votes_of_pixels(angle, length)
    assert found.shape == (3, ORIENTATIONS, CELLS, CELLS)
    assert torch.allclose(found, votes_of_maps(angle, length), atol=1e-6)


def test_cells_that_share_pixels_are_means_of_all_of_theirs():
    small = oriented_gradients(torch.nn.functional.interpolate(picture(), size=44, mode="bilinear"))
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(small, oriented_gradients(picture(side=80))) > 0.97


@pytest.mark.parametrize("size", [(40, 40), (44, 36)])
def test_those_of_a_mirror_image_are_had_without_looking_at_it(size):
    images = torch.nn.functional.interpolate(picture(), size=size, mode="bilinear")
    images[..., :9, :11] = 0.25  # edges that are exactly upright and level
    found = mirrored(oriented_gradients(images))
    assert torch.allclose(found, oriented_gradients(images.flip(-1)), atol=2e-4)
    assert not torch.allclose(found, oriented_gradients(images), atol=0.1)


def test_contrast_brightness_and_hue_leave_them_almost_alone():
    image = picture()
    changed = 0.6 * image[:, [0, 1, 2]] + 0.2
    cosine = torch.nn.functional.cosine_similarity
    same = cosine(oriented_gradients(image), oriented_gradients(changed))
    other = cosine(oriented_gradients(image), oriented_gradients(picture(5)))
    assert same > 0.98
    assert other < same - 0.05


def test_a_flat_picture_gives_no_nonsense():
    assert torch.isfinite(oriented_gradients(torch.zeros(1, 3, 32, 32))).all()
