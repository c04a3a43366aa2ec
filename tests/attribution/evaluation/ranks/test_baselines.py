"""Baselines: descriptors against slow formulas, heads fitted as they should be, clear refusals."""

import itertools
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from attribution.evaluation.ranks.baselines import (
    FITTED,
    NAMES,
    UnfitBaseline,
    colour_histogram,
    make,
)
from models.backbones.features import Backbone, Features
from models.card import BackboneCard, Card, PartCard
from models.encoder import Encoder
from models.heads import Head
from models.images.preprocessing import Preprocessing
from tests.support.pictures import picture


class Mosaic(Backbone):
    """Describes an image by the colours of a 4 x 4 mosaic."""

    dimension = 48
    patch_dimension = 3

    def forward(self, images):
        mosaic = torch.nn.functional.adaptive_avg_pool2d(images, 4)
        return Features(mosaic.flatten(1), mosaic)


@pytest.fixture(scope="module")
def encoder():
    net = Mosaic()
    card = Card(
        name="small",
        backbone=BackboneCard(name="mosaic"),
        preprocessing=Preprocessing(height=52, width=44),
        parts=(PartCard(name="whole", head="none", dimension=net.dimension),),
    )
    return Encoder(card, net, Head(net.dimension))


@pytest.fixture(scope="module")
def pictures():
    return [picture(seed, (60, 40)) for seed in range(70)]


def test_the_colour_histogram_counts_every_pixel_once():
    image = picture(3, (60, 40))
    counts = dict.fromkeys(itertools.product(range(4), repeat=3), 0)
    for red, green, blue in np.asarray(image).reshape(-1, 3).tolist():
        counts[red // 64, green // 64, blue // 64] += 1
    expected = np.sqrt(np.array(list(counts.values())) / (60 * 40))
    assert colour_histogram(image) == pytest.approx(expected, abs=1e-6)
    assert np.linalg.norm(colour_histogram(image)) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_each_baseline_ranks_an_image_it_holds_first(encoder, pictures, name):
    method = make(name, encoder=encoder, fit=pictures[:40])
    gallery = method.describer(pictures[40:])
    queries = method.describer(pictures[40:52])
    truth = [(row,) for row in range(12)]
    scores = method.scorer(queries, gallery, truth)
    assert method.name == name
    assert scores.shape == (12, 30)
    assert scores.argmax(axis=1).tolist() == list(range(12))
    assert method.describer([]).shape == (0, gallery.shape[1])


def test_baselines_of_the_backbone_share_its_rows(encoder, pictures):
    names = ("raw-backbone", "whiten", "cca", "supervised")
    methods = [make(name, encoder=encoder, fit=pictures) for name in names]
    assert len({method.describer.name for method in methods}) == 1
    assert [method.blockwise for method in methods] == [True, True, True, False]
    [row] = methods[0].describer(pictures[:1])
    expected = encoder.backbone(encoder.preprocess(pictures[0])[None]).pooled
    assert row == pytest.approx(expected[0].detach().numpy(), abs=1e-5)


def test_raw_scores_are_cosines_and_whitened_ones_those_of_decorrelated_rows(encoder, pictures):
    raw, whitened = (
        make(name, encoder=encoder, fit=pictures) for name in ("raw-backbone", "whiten")
    )
    rows = raw.describer(pictures).astype(np.float64)

    def cosines(x):
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        return unit @ unit.T

    described = rows.astype(np.float32)
    assert raw.scorer(described, described, []) == pytest.approx(cosines(rows), abs=1e-5)
    covariance = np.cov(rows, rowvar=False, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    kept = slice(max(0, len(values) - 69), None)
    ridge = 0.01 * values.mean()
    white = (rows - rows.mean(axis=0)) @ vectors[:, kept] / np.sqrt(values[kept] + ridge)
    assert whitened.scorer(described, described, []) == pytest.approx(cosines(white), abs=1e-3)


def test_cca_repeats_and_whitening_less_what_views_do_not_share(encoder, pictures):
    """Views turn hues and mirror; directions that survive must count for more than in `whiten`."""
    first, again = (make("cca", encoder=encoder, fit=pictures) for _ in range(2))
    whitened = make("whiten", encoder=encoder, fit=pictures)
    rows = first.describer(pictures)
    assert np.array_equal(first.scorer(rows, rows, []), again.scorer(rows, rows, []))
    mirrored = first.describer(
        [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in pictures]
    )

    def mean_rank(method):
        scores = method.scorer(mirrored, rows, [])
        return (scores > scores.diagonal()[:, None]).sum(axis=1).mean()

    assert mean_rank(first) < mean_rank(whitened)


@pytest.mark.parametrize("name", sorted(FITTED))
def test_a_fitted_baseline_without_images_is_refused(encoder, pictures, name):
    with pytest.raises(UnfitBaseline, match="fitted on unlabelled images"):
        make(name, encoder=encoder, fit=None)
    used_up = iter(pictures[:0])
    with pytest.raises(UnfitBaseline, match="a list rather than a generator"):
        make(name, encoder=encoder, fit=used_up)


def test_an_unknown_name_lists_the_known_ones(encoder):
    with pytest.raises(ValueError, match="colour-histogram, hog"):
        make("sift", encoder=encoder, fit=None)


def test_hog_without_scikit_image_names_the_extra(encoder, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(ModuleNotFoundError, match=r"attribution\[synthesis\]"):
        make("hog", encoder=encoder, fit=None)
