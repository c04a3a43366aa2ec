"""The encoder as shipped: rows described before the head, scored as the service scores them."""

import numpy as np
import pytest
import torch
from PIL import ImageOps

from attribution.evaluation.ranks.methods import (
    FusedScorer,
    PooledDescriber,
    encoder_method,
    under_head,
)
from attribution.retrieval.fusion import Fusion
from models.backbones.residual import ResidualNet
from models.card import BackboneCard, Card, PartCard
from models.encoder import Encoder
from models.heads import AffineMap, Head, HeadPart
from models.images.preprocessing import Preprocessing
from tests.support.pictures import picture

WIDTH = 6


def small_encoder(seed=0, *, mirrored_query=False):
    """Two parts; queries of the second have a map of their own."""
    torch.manual_seed(seed)
    net = ResidualNet((8, 8, 16, 16), (1, 0, 1, 0)).eval()
    maps = [
        AffineMap(torch.randn(net.dimension), torch.randn(net.dimension, WIDTH)) for _ in range(3)
    ]
    parts = [HeadPart("structure", maps[0]), HeadPart("appearance", maps[1], maps[2])]
    names = ("structure", "appearance")
    card = Card(
        name="small",
        backbone=BackboneCard(name="residual", widths=net.widths, blocks=net.blocks),
        preprocessing=Preprocessing(height=32, width=32),
        parts=tuple(PartCard(name=name, head="linear", dimension=WIDTH) for name in names),
        fusion="harmonic-mean-p",
        mirrored_query=mirrored_query,
    )
    reference = np.random.default_rng(seed).normal(size=(40, 2 * WIDTH)).astype(np.float32)
    return Encoder(card, net, Head(net.dimension, parts), reference=reference)


def pictures(seeds):
    for seed in seeds:
        yield picture(seed, (40, 30))


@pytest.fixture(scope="module")
def encoder():
    return small_encoder()


def test_scores_are_those_of_the_encoders_rows_and_fusion(encoder):
    method = encoder_method(encoder)
    queries, gallery = method.describer(pictures(range(3))), method.describer(pictures(range(9)))
    expected = Fusion(encoder.parts, encoder.reference, rule=encoder.card.fusion).scores(
        encoder.encode(list(pictures(range(3))), domain="query"),
        encoder.encode(list(pictures(range(9))), domain="source"),
    )
    assert method.scorer(queries, gallery, [()] * 3) == pytest.approx(expected, abs=1e-3)


def test_an_encoder_of_two_views_is_mirrored_as_the_service_does():
    encoder = small_encoder(mirrored_query=True)
    method = encoder_method(encoder)
    assert method.mirrored
    assert method.framed
    images, gallery = list(pictures(range(3))), method.describer(pictures(range(9)))
    straight = method.scorer(method.describer(images), gallery, [()] * 3)
    mirror = method.scorer(method.describer(map(ImageOps.mirror, images)), gallery, [()] * 3)
    expected = Fusion(encoder.parts, encoder.reference, encoder.views, encoder.card.fusion).scores(
        encoder.encode(images, domain="query"), encoder.encode(list(pictures(range(9))))
    )
    assert np.maximum(straight, mirror) == pytest.approx(expected, abs=1e-3)
    assert np.abs(straight - expected).max() > 0.01


def test_images_are_read_as_they_are_needed(encoder, monkeypatch):
    monkeypatch.setattr("attribution.evaluation.ranks.methods.BATCH", 2)
    describe = PooledDescriber(encoder)
    rows = describe(pictures(range(5)))
    assert rows.shape == (5, encoder.backbone.dimension)
    assert rows.dtype == np.float32
    assert describe(pictures([4]))[0] == pytest.approx(rows[4], abs=1e-4)
    assert describe(iter(())).shape == (0, encoder.backbone.dimension)


def test_a_gallery_goes_through_the_head_once(encoder, monkeypatch):
    describe, scorer = PooledDescriber(encoder), FusedScorer(encoder)
    queries, gallery = describe(pictures(range(2))), describe(pictures(range(6)))
    domains = []

    def watched(encoder, descriptors, domain):
        domains.append(domain)
        return under_head(encoder, descriptors, domain)

    monkeypatch.setattr("attribution.evaluation.ranks.methods.under_head", watched)
    first = scorer(queries, gallery, [])
    assert (scorer(queries, gallery, []) == first).all()
    assert domains == ["source", "query", "query"]
    other = gallery[::-1].copy()
    assert scorer(queries, other, []) == pytest.approx(first[:, ::-1], abs=1e-5)
    assert domains.count("source") == 2


def test_names_tell_encoders_apart(encoder):
    assert encoder_method(encoder).name == "small"
    mirrored = encoder_method(encoder, mirrored=True)
    assert (mirrored.name, mirrored.mirrored) == ("small, mirrored", True)
    assert mirrored.describer.name == encoder_method(encoder).describer.name
    other = encoder_method(small_encoder(seed=1))
    assert other.describer.name != mirrored.describer.name
