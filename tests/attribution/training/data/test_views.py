"""Views stay pictures, do what they say, and repeat exactly from a seed."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from attribution.training.data import mixing, views
from attribution.training.objective.pairing import make_views


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, side=64, seed=0):
    coarse = torch.rand(n, 3, 8, 8, generator=generator(seed))
    return torch.nn.functional.interpolate(coarse, size=side, mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("recipe", [views.MILD, views.STRONG])
def test_a_view_is_a_picture_and_repeats_from_its_seed(recipe):
    first = views.make_view(images(), 48, recipe, generator(3))
    again = views.make_view(images(), 48, recipe, generator(3))
    other = views.make_view(images(), 48, recipe, generator(4))
    assert first.shape == (6, 3, 48, 48)
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_full_crop_is_the_picture_or_its_mirror_image():
    picture = images(8, 32)
    crop = views.crop(picture, views.draw_boxes(picture, (1.0, 1.0), 1.0, generator()), 32)
    same = (crop - picture).abs().amax(dim=(1, 2, 3)) < 0.1
    mirrored = (crop - picture.flip(3)).abs().amax(dim=(1, 2, 3)) < 0.1
    assert (same | mirrored).all()
    assert same.any()
    assert mirrored.any()


def test_a_box_inside_a_box_keeps_its_bounds_and_flip():
    picture = images(50)
    outer = views.draw_boxes(picture, (0.3, 1.0), 4 / 3, generator(1))
    inner = views.draw_inside(outer, (0.6, 1.0), generator(2))
    assert torch.equal(inner.mirror, outer.mirror)
    for place, half in (("x", "half_width"), ("y", "half_height")):
        reach = (getattr(inner, place) - getattr(outer, place)).abs() + getattr(inner, half)
        assert (reach <= getattr(outer, half) + 1e-6).all()
        assert (getattr(inner, half) >= 0.6**0.5 * getattr(outer, half) - 1e-6).all()
    assert (inner.x != outer.x).any()


def test_a_crop_in_place_is_at_least_half_and_never_mirrored():
    across = torch.linspace(0, 1, 64).expand(64, 64)
    ramps = torch.stack([across, across.T, torch.zeros(64, 64)]).repeat(200, 1, 1, 1)
    crops = views.crop_in_place(ramps, 32, generator(1))
    width = crops[:, 0, :, -1].mean(dim=1) - crops[:, 0, :, 0].mean(dim=1)
    height = crops[:, 1, -1].mean(dim=1) - crops[:, 1, 0].mean(dim=1)
    assert (width > 0).all()
    assert (height > 0).all()
    area = width * height
    assert 0.42 < area.min() < 0.6  # by the centres of its first and last pixels
    assert area.max() > 0.9
    assert len(torch.unique(crops[:, 0, 16, 16])) > 100


def test_strong_views_of_the_first_half_share_the_layout_of_the_mild_ones():
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64).clone()  # dark left, bright right
    drawn = make_views(ramp.repeat(40, 1, 1, 1), 32, generator(4), with_mixed=True)

    def brighter_right(view):
        return view[..., 24:].mean(dim=(1, 2, 3)) > view[..., :8].mean(dim=(1, 2, 3))

    agree = brighter_right(drawn.mild) == brighter_right(drawn.strong)
    assert agree[:20].all()
    assert not agree[20:].all()
    assert drawn.mixed.shape == (20, 3, 32, 32)


def test_without_amounts_colours_stay():
    still = views.ViewRecipe(scale=(1, 1), brightness=0, saturation=0, hue=0)
    picture = images()
    assert torch.allclose(views.jitter_colour(picture, still, generator()), picture, atol=1e-4)


def test_greyscale_leaves_three_equal_channels():
    grey = views.ViewRecipe(scale=(1, 1), brightness=0, greyscale=1.0)
    result = views.jitter_colour(images(), grey, generator())
    assert torch.allclose(result[:, 0], result[:, 1], atol=2e-2)
    assert torch.allclose(result[:, 0], result[:, 2], atol=2e-2)


def test_the_cosine_basis_is_orthonormal_and_equals_the_textbook():
    basis = views.cosine_basis(8)
    assert torch.allclose(basis @ basis.T, torch.eye(8, dtype=torch.float64), atol=1e-12)
    slow = [
        [np.sqrt((1 if k == 0 else 2) / 8) * np.cos(np.pi * (2 * i + 1) * k / 16) for i in range(8)]
        for k in range(8)
    ]
    assert np.allclose(basis.numpy(), slow)


def test_a_coarser_quantisation_loses_more():
    picture = images()
    fine = views.block_quantise(picture, torch.full((6,), 1e-4))
    coarse = views.block_quantise(picture, torch.full((6,), 0.2))
    assert (fine - picture).abs().max() < 1e-2
    assert (coarse - picture).abs().mean() > 5 * (fine - picture).abs().mean()


def test_statistics_transfer_takes_the_mean_colour_of_the_other():
    a, b = images(4, seed=1) * 0.4 + 0.3, images(4, seed=2) * 0.3 + 0.35
    mixed = mixing.transfer_statistics(a, b, generator())
    assert torch.allclose(mixed.mean(dim=(2, 3)), b.mean(dim=(2, 3)), atol=0.02)


def test_resampled_patches_all_come_from_the_other_image():
    a, b = images(2, 32, 1), images(2, 32, 2)
    mixed = mixing.resample_patches(a, b, 8)
    offered = torch.nn.functional.unfold(b, 8, stride=4)
    used = torch.nn.functional.unfold(mixed, 8, stride=8)
    for n in range(2):
        differences = (used[n].T[:, None] - offered[n].T[None]).abs().amax(dim=2)
        assert differences.min(dim=1).values.max() < 1e-6


def test_a_collage_shows_each_pixel_of_one_or_the_other():
    a, b = torch.zeros(20, 3, 32, 32), torch.ones(20, 3, 32, 32)
    pasted = mixing.collage(a, b, generator())
    assert set(pasted.unique().tolist()) == {0.0, 1.0}
    share = pasted.mean(dim=(1, 2, 3))
    assert share.min() > 0.15
    assert share.max() < 0.85


def test_swapped_amplitude_keeps_the_layout_of_the_first():
    a, b = images(4, 32, 1), images(4, 32, 2)
    mixed = mixing.swap_amplitude(a, b, generator())

    def correlation(x, y):
        x, y = x.mean(1).flatten(1), y.mean(1).flatten(1)
        return torch.stack(
            [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(x, y, strict=True)]
        )

    assert correlation(mixed, a).mean() > correlation(mixed, b).mean() + 0.2


def test_mixing_repeats_from_its_seed_and_stays_a_picture():
    a, b = images(24, 32, 1), images(24, 32, 2)
    first = mixing.mix(a, b, generator(5))
    assert torch.equal(first, mixing.mix(a, b, generator(5)))
    assert first.min() >= 0
    assert first.max() <= 1


def test_a_crop_is_what_an_affine_grid_samples():
    pictures = images(5, 40)[:, :, :32]
    boxes = views.draw_boxes(pictures, (0.1, 1.0), 1.5, generator(3))
    assert len(set(boxes.mirror.tolist())) == 2
    theta = torch.zeros(5, 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = boxes.half_width * boxes.mirror, boxes.x
    theta[:, 1, 1], theta[:, 1, 2] = boxes.half_height, boxes.y
    grid = functional.affine_grid(theta, [5, 3, 32, 32], align_corners=False)
    sampled = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    expected = functional.avg_pool2d(sampled, 2)
    assert torch.allclose(views.crop(pictures, boxes, 16), expected, atol=1e-5)
