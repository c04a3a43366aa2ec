"""Descriptors described once: what is kept of which view, and the pairs made of them."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from attribution.training.data.images import ImageSet
from attribution.training.heads.cached import CYCLE, DRAWN, IN_PLACE, cache_rows, cycle_of
from attribution.training.recipe.plans import UnfitHead, plans_for
from models.backbones.features import Backbone, Features
from models.backbones.residual import ResidualNet
from models.heads import Moments
from models.images.preprocessing import Preprocessing
from models.parts import consecutive_parts

SIDE, SHAPE = 32, Preprocessing(32, 32)


class Mosaic(Backbone):
    """Colours of 4 x 4 cells; counts the images that it was shown."""

    dimension, patch_dimension = 48, 3

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale, self.seen = scale, 0

    def forward(self, images):
        self.seen += len(images)
        cells = functional.adaptive_avg_pool2d(images * self.scale, 4)
        return Features(cells.flatten(1), cells)


def image_set(n, seed=0, side=SIDE):
    coarse = torch.rand(n, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    pixels = functional.interpolate(coarse, size=side, mode="bilinear")
    return ImageSet((pixels * 255).to(torch.uint8), tuple(f"{i:03d}.png" for i in range(n)))


def test_every_image_is_described_once_and_each_view_once():
    backbone = Mosaic()
    done = []
    rows = cache_rows(backbone, image_set(70), SHAPE, views=70, on_images=done.append)
    assert backbone.seen == 140
    assert done == [32, 64, 70]
    assert rows.images.dtype == rows.views.dtype == torch.float16
    assert sorted(rows.structure.tolist()) == list(range(70))
    exact = Mosaic()((image_set(70).batch(torch.arange(70)) - 0.5) / 0.25).pooled
    assert torch.allclose(rows.images.float(), exact, atol=2e-3)


def test_half_of_the_views_are_mixtures_which_resemble_both_of_their_images():
    rows = cache_rows(Mosaic(), image_set(64), SHAPE, views=256)
    mixed = rows.structure != rows.appearance
    assert len(rows.views) == 256
    assert mixed.sum() == 128
    assert torch.bincount(rows.structure[mixed]).tolist() == [2] * 64
    cosines = functional.normalize(rows.views.float()) @ functional.normalize(rows.images.float()).T
    assert cosines[mixed, rows.structure[mixed]].mean() > cosines[mixed].mean() + 0.2
    seen, shown = (each.float().view(-1, 3, 16).mean(dim=2) for each in (rows.views, rows.images))
    casts = torch.cdist(seen, shown)
    assert casts[mixed, rows.appearance[mixed]].mean() < 0.6 * casts[mixed].mean()


def test_fewer_views_than_images_are_spread_and_the_other_images_lend_their_appearance():
    rows = cache_rows(Mosaic(), image_set(64), SHAPE, views=40)
    assert len(rows.views) == len(set(rows.structure.tolist())) == 40
    mixed = rows.structure != rows.appearance
    assert mixed.sum() == 20
    without = set(range(64)) - set(rows.structure.tolist())
    assert len(without & set(rows.appearance[mixed].tolist())) >= 8


def test_moments_are_those_of_the_pairs():
    rows = cache_rows(Mosaic(), image_set(40), SHAPE, views=80)
    images, views = rows.images.double().numpy(), rows.views.double().numpy()
    structure, appearance = rows.structure.numpy(), rows.appearance.numpy()
    mixed = structure != appearance
    expected = {
        "images": (images, images),
        "views": (images[structure[~mixed]], views[~mixed]),
        "structure": (images[structure[mixed]], views[mixed]),
        "appearance": (images[appearance[mixed]], views[mixed]),
    }
    for pairs, (first, second) in expected.items():
        moments = rows.moments([pairs])
        both, other = np.concatenate([first, second]), np.concatenate([second, first])
        assert moments.count == len(both)
        assert np.allclose(moments.mean.numpy(), both.mean(axis=0))
        within, between = (covariance.numpy() for covariance in moments.covariances())
        assert np.allclose(within, np.cov(both.T, bias=True), atol=1e-6)
        centre = both.mean(axis=0)
        assert np.allclose(between, (both - centre).T @ (other - centre) / len(both), atol=1e-6)


def test_views_in_place_are_pairs_of_their_own():
    rows = cache_rows(Mosaic(), image_set(60), SHAPE, views=360, cycle=(*CYCLE, *IN_PLACE))
    mixed = rows.structure != rows.appearance
    in_place = torch.isin(rows.drawn, torch.tensor([DRAWN.index(kind) for kind in IN_PLACE]))
    assert in_place.sum() == 120
    assert (mixed & in_place).sum() == 60
    kinds = {
        "views": ~mixed & ~in_place,
        "structure": mixed & ~in_place,
        "views in place": ~mixed & in_place,
        "structure in place": mixed & in_place,
    }
    for kind, chosen in kinds.items():
        expected = Moments(48)
        expected.add(rows.images[rows.structure[chosen]], rows.views[chosen])
        found = rows.moments([kind])
        assert found.count == expected.count == 2 * chosen.sum()
        for got, wanted in zip(found.covariances(), expected.covariances(), strict=True):
            assert torch.allclose(got, wanted, atol=1e-6)


def test_views_in_place_keep_the_layout_of_their_image():
    rows = cache_rows(Mosaic(), image_set(64), SHAPE, views=128, cycle=IN_PLACE)
    plain = cache_rows(Mosaic(), image_set(64), SHAPE, views=128, cycle=("mild", "mild"))

    def likeness(cached):
        one = cached.structure == cached.appearance
        seen, shown = (
            each.float().view(-1, 3, 16).mean(dim=1)
            for each in (cached.views[one], cached.images[cached.structure[one]])
        )
        centred = [each - each.mean(dim=1, keepdim=True) for each in (seen, shown)]
        return functional.cosine_similarity(*centred).mean()

    assert likeness(rows) > likeness(plain) + 0.1


def test_views_in_place_are_drawn_where_a_part_is_fitted_on_them():
    own = plans_for("cca", 8, ResidualNet((8, 8, 8, 16), (0, 0, 0, 0)).blocks_of_descriptor)
    assert cycle_of(own) == (*CYCLE, *IN_PLACE)
    assert cycle_of(plans_for("cca", 8, consecutive_parts([("whole", 48)]))) == CYCLE


def test_kinds_of_pairs_count_together_over_the_columns_asked_for():
    rows = cache_rows(Mosaic(), image_set(40), SHAPE, views=80)
    columns = torch.tensor([5, 0, 30])
    joined = rows.moments(["views", "structure"], columns)
    one, other = rows.moments(["views"]), rows.moments(["structure"])
    assert joined.count == one.count + other.count
    mean = (one.count * one.mean + other.count * other.mean) / joined.count
    assert torch.allclose(joined.mean, mean[columns], atol=1e-6)
    whole = rows.moments(["views", "structure"]).of_columns(columns)
    for got, wanted in zip(joined.covariances(), whole.covariances(), strict=True):
        assert torch.allclose(got, wanted, atol=1e-6)


def test_the_seed_decides_the_views_and_nothing_else_does():
    first, again, other = (
        cache_rows(Mosaic(), image_set(20), SHAPE, views=20, seed=seed) for seed in (3, 3, 4)
    )
    assert torch.equal(first.views, again.views)
    assert torch.equal(first.appearance, again.appearance)
    assert torch.equal(first.images, other.images)
    assert not torch.equal(first.views, other.views)


def test_what_cannot_be_cached_is_refused():
    with pytest.raises(UnfitHead, match="48 x 48 pixels for an encoder that sees 32 x 32"):
        cache_rows(Mosaic(), image_set(4, side=48), SHAPE, views=4)
    with pytest.raises(UnfitHead, match="two images"):
        cache_rows(Mosaic(), image_set(1), SHAPE, views=1)
    with pytest.raises(UnfitHead, match="too large for float16"):
        cache_rows(Mosaic(scale=1e6), image_set(4), SHAPE, views=4)
    assert cache_rows(Mosaic(), image_set(1), SHAPE, views=0).images.shape == (1, 48)
