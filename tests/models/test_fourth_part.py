"""The bundled encoder with a fourth part: three parts as they were, and one of another network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models import fourth_part, load_encoder, loading
from models.background import BACKGROUND, Background, thumbnail, write_background
from models.card import BackboneCard, Card, PartCard
from models.checkpoints import BadCheckpoint, save_encoder
from models.engine import Choice
from models.exported.exporting import export_network
from models.exported.session import OnnxEngine
from models.fourth_part import ROWS, write_fourth_part
from models.heads.affine import AffineMap, HeadPart
from models.images.preprocessing import Preprocessing
from models.loading import load_encoder_background
from models.published.specs import PUBLISHED
from tests.support.encoders import trained_network
from tests.support.packages import install, rows_of
from tests.support.pictures import picture

SHAPE = Preprocessing(height=32, width=32)
REFERENCE, BACKGROUND_SEEDS = range(100, 130), range(200, 230)


def second_rows(pictures, views=1) -> np.ndarray:
    """Of the second network, by its formula."""
    mean, std = (torch.tensor(each)[:, None, None] for each in (SHAPE.mean, SHAPE.std))
    pixels = torch.stack([SHAPE(each) for each in pictures]) * std + mean
    seen = [rows_of(each.numpy()) for each in (pixels, pixels.flip(-1))[:views]]
    return np.concatenate(seen, axis=1).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small encoder of two parts with all that the bundled one has, rows of a third among it."""
    file = install(tmp_path, monkeypatch)
    monkeypatch.setitem(PUBLISHED, "sscd", replace(PUBLISHED["sscd"], package=file, dimension=4))
    folder = tmp_path / "bundled"
    monkeypatch.setattr(loading, "BUNDLED", folder)
    net = trained_network()
    generator = torch.Generator().manual_seed(0)
    parts = tuple(
        HeadPart(
            name,
            AffineMap(
                torch.zeros(net.dimension),
                torch.randn(net.dimension, width, generator=generator),
            ),
        )
        for name, width in (("structure", 12), ("appearance", 8))
    )
    card = Card(
        name="bundled",
        backbone=BackboneCard(name="residual", widths=net.widths, blocks=net.blocks),
        preprocessing=SHAPE,
        parts=tuple(
            PartCard(name=part.name, head="cca", dimension=part.source.weight.shape[1] + 1)
            for part in parts
        ),
        fusion="harmonic-mean-p",
        mirrored_query=True,
        hubness=0.5,
    )
    pictures = [picture(seed) for seed in REFERENCE]
    bare = card.model_copy(
        update={"hubness": 0.0, "fusion": "max-standardised", "mirrored_query": False}
    )
    save_encoder(folder, bare, net, parts, reference=np.zeros((2, 20), np.float32))
    rows = load_encoder(str(folder)).encode(pictures)
    save_encoder(folder, card, net, parts, reference=rows)
    encoder = load_encoder("bundled")
    others = [picture(seed) for seed in BACKGROUND_SEEDS]
    write_background(
        folder / BACKGROUND,
        Background(
            encoder.model_id,
            encoder.encode(others, domain="query"),
            np.stack([thumbnail(each) for each in others]),
        ),
    )
    write_fourth_part(folder, second_rows(pictures), second_rows(others, views=2))
    return folder


def test_the_parts_of_the_bundled_encoder_are_as_they_were(folder):
    own, joined = load_encoder("bundled"), load_encoder("bundled+sscd")
    pictures = [picture(seed) for seed in range(4)]
    assert [part.name for part in joined.parts] == ["structure", "appearance", "sscd"]
    assert joined.parts[:-1] == own.parts
    last = joined.parts[-1]
    for domain in ("source", "query"):
        rows, found = (each.encode(pictures, domain=domain) for each in (own, joined))
        views = own.views if domain == "query" else 1
        by_view = zip(np.split(rows, views, 1), np.split(found, views, 1), strict=True)
        for number, (before, after) in enumerate(by_view):
            np.testing.assert_allclose(after[:, : own.dimension], before, atol=1e-6)
            expected = second_rows(pictures, 2)[:, 4 * number : 4 * number + 4]
            np.testing.assert_allclose(after[:, last.start : last.stop - 1], expected, atol=1e-5)
    np.testing.assert_array_equal(joined.reference[:, : own.dimension], own.reference)
    assert joined.model_id != own.model_id


def test_its_background_is_what_it_makes_of_the_same_images(folder):
    joined = load_encoder("bundled+sscd")
    background = load_encoder_background("bundled+sscd", joined)
    assert background.model_id == joined.model_id
    expected = joined.encode([picture(seed) for seed in BACKGROUND_SEEDS], domain="query")
    np.testing.assert_allclose(background.rows, expected, atol=0.02)  # both stored as 8 bits


def test_what_is_missing_or_damaged_is_named(folder):
    with pytest.raises(BadCheckpoint, match="has its own weights"):
        load_encoder("bundled+sscd", weights=folder / ROWS)
    joined = load_encoder("bundled+sscd")
    (folder / ROWS).write_bytes(b"damaged")
    with pytest.raises(BadCheckpoint, match=ROWS):
        load_encoder("bundled+sscd")
    write_fourth_part(folder, np.ones((30, 4), np.float32), np.ones((3, 8), np.float32))
    with pytest.raises(BadCheckpoint, match="is not of"):
        load_encoder_background("bundled+sscd", joined)
    (folder / BACKGROUND).unlink()
    with pytest.raises(BadCheckpoint, match="is missing"):
        load_encoder_background("bundled+sscd", joined)


def test_the_card_says_which_network_makes_which_part(folder):
    card = load_encoder("bundled+sscd").card
    assert card.name == fourth_part.NAME
    assert [part.network for part in card.parts] == ["", "", "sscd"]
    assert "MIT" in card.licence


def test_an_encoder_with_a_head_of_its_own_is_loaded_from_its_folder(folder, tmp_path):
    joined = load_encoder("bundled+sscd")
    weight = torch.randn(joined.backbone.dimension, 6, generator=torch.Generator().manual_seed(1))
    part = HeadPart("whole", AffineMap(torch.zeros(len(weight)), weight))
    card = joined.card.model_copy(
        update={
            "parts": (PartCard(name="whole", head="linear", dimension=6),),
            "fusion": "single",
            "hubness": 0.0,
            "mirrored_query": False,
        }
    )
    save_encoder(tmp_path / "mine", card, joined.backbone, (part,))
    pictures = [picture(seed) for seed in range(4)]
    with torch.inference_mode():
        pixels = torch.stack([joined.preprocess(each) for each in pictures])
        expected = part.source(joined.backbone(pixels).pooled)
    np.testing.assert_allclose(
        load_encoder(str(tmp_path / "mine")).encode(pictures), expected, atol=0.01
    )
    joined.backbone.second.sha256[0] += 1
    save_encoder(tmp_path / "mine", card, joined.backbone, (part,))
    with pytest.raises(BadCheckpoint, match="another version of the network"):
        load_encoder(str(tmp_path / "mine"))


def test_an_engine_runs_its_first_network(folder, tmp_path):
    joined = load_encoder("bundled+sscd")
    export_network(joined, tmp_path / "graph.onnx")
    other = joined.by(OnnxEngine(tmp_path / "graph.onnx", threads=1), Choice("onnx"))
    pictures = [picture(seed) for seed in range(3)]
    found = other.encode(pictures, domain="query")
    np.testing.assert_allclose(found, joined.encode(pictures, domain="query"), atol=1e-5)
