"""An encoder that is asked to compare mirror images too: two views a query, one row a source."""

import numpy as np
import pytest
import torch
from PIL import ImageOps
from torch.nn import functional

from models.backbones.features import Backbone, Features
from models.backbones.residual import ResidualNet
from models.background import BACKGROUND, Background, write_background
from models.card import BackboneCard, Card, PartCard
from models.checkpoints import load_encoder_folder, save_encoder
from models.encoder import Encoder
from models.heads import AffineMap, Head, HeadPart
from models.images.preprocessing import Preprocessing
from models.loading import load_encoder_background
from tests.support.encoders import trained_network
from tests.support.pictures import picture

SIDE, GRID, WIDTH = 32, 4, 5


class Mosaic(Backbone):
    """The colours of 4 x 4 cells in their places, so that a mirror image looks quite different."""

    dimension = 3 * GRID * GRID
    patch_dimension = 3

    def forward(self, images):
        cells = functional.adaptive_avg_pool2d(images, GRID)
        return Features(cells.flatten(1), cells)


def card_of(*, mirrored, backbone="mosaic", parts=("structure", "appearance")):
    return Card(
        name="small",
        backbone=BackboneCard(name=backbone),
        preprocessing=Preprocessing(height=SIDE, width=SIDE),
        parts=tuple(PartCard(name=name, head="linear", dimension=WIDTH) for name in parts),
        mirrored_query=mirrored,
    )


def encoder_of(*, mirrored=True, reference=None):
    """Two parts; queries have a map of their own, which both views must go through."""
    draw = torch.Generator().manual_seed(1)
    parts = [
        HeadPart(name, *(AffineMap(torch.zeros(48), weight) for weight in weights))
        for name, weights in (
            (name, torch.randn(2, 48, WIDTH, generator=draw))
            for name in ("structure", "appearance")
        )
    ]
    return Encoder(card_of(mirrored=mirrored), Mosaic(), Head(48, parts), reference=reference)


def test_a_query_has_the_row_of_the_image_and_then_that_of_its_mirror_image():
    encoder, plain = encoder_of(), encoder_of(mirrored=False)
    assert (encoder.views, encoder.dimension, encoder.query_dimension) == (2, 10, 20)
    assert (plain.views, plain.dimension, plain.query_dimension) == (1, 10, 10)
    images = [picture(seed) for seed in range(5)]
    mirrored = [ImageOps.mirror(image) for image in images]
    rows = encoder.encode(images, domain="query")
    assert rows.shape == (5, 20)
    assert np.allclose(rows[:, :10], plain.encode(images, domain="query"), atol=1e-6)
    assert np.allclose(rows[:, 10:], plain.encode(mirrored, domain="query"), atol=1e-2)
    swapped = encoder.encode(mirrored, domain="query")
    assert np.allclose(np.roll(rows, 10, axis=1), swapped, atol=1e-2)
    assert np.abs(rows[:, :10] - rows[:, 10:]).max() > 0.5  # the layout is seen


def residual_encoder(*, mirrored):
    net = trained_network()
    return Encoder(card_of(mirrored=mirrored, parts=("whole",)), net, Head(net.dimension))


@pytest.mark.parametrize("images", [1, 3, 9])
def test_both_views_of_the_residual_network_are_what_each_would_be_alone(images):
    pixels = torch.randn(images, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    encoder, plain = residual_encoder(mirrored=True), residual_encoder(mirrored=False)
    apart = [plain.embed(view, domain="query") for view in (pixels, pixels.flip(-1))]
    rows = encoder.embed(pixels, domain="query")
    assert np.abs(rows - np.concatenate(apart, 1)).max() < 1e-5


def test_a_source_has_one_row_as_ever():
    images = [picture(seed) for seed in range(5)]
    plain = encoder_of(mirrored=False).encode(images)
    assert np.array_equal(encoder_of().encode(images), plain)


def test_no_images_give_rows_of_the_right_width():
    encoder = encoder_of()
    assert encoder.encode([]).shape == (0, 10)
    assert encoder.encode([], domain="query").shape == (0, 20)


def test_a_query_has_the_same_row_alone_and_in_a_batch():
    encoder = encoder_of()
    images = [picture(seed) for seed in range(7)]
    together = encoder.encode(images, domain="query", batch_size=4)
    alone = np.concatenate([encoder.encode([image], domain="query") for image in images])
    assert np.abs(together - alone).max() < 1e-5


def test_it_is_another_encoder_also_on_disk(tmp_path):
    torch.manual_seed(0)
    net = ResidualNet((8, 8, 16, 16), (1, 0, 1, 0)).eval()
    loaded = {}
    for mirrored in (False, True):
        card = Card(
            name="small",
            backbone=BackboneCard(name="residual", widths=net.widths, blocks=net.blocks),
            preprocessing=Preprocessing(height=64, width=64),
            parts=(PartCard(name="whole", head="none", dimension=net.dimension),),
            mirrored_query=mirrored,
        )
        save_encoder(tmp_path / str(mirrored), card, net, ())
        loaded[mirrored] = load_encoder_folder(tmp_path / str(mirrored))
    assert loaded[True].views == 2
    assert loaded[True].model_id != loaded[False].model_id


def test_a_card_from_before_there_was_a_choice_has_one_view():
    content = card_of(mirrored=True).model_dump(mode="json")
    del content["mirrored_query"]
    assert not Card.model_validate(content).mirrored_query


def test_the_background_keeps_both_views(tmp_path):
    encoder = encoder_of()
    rows = encoder.encode([picture(seed) for seed in range(6)], domain="query")
    (tmp_path / "card.json").write_text(encoder.card.model_dump_json())
    write_background(
        tmp_path / BACKGROUND, Background(encoder.model_id, rows, np.zeros((6, 16, 16), np.uint8))
    )
    loaded = load_encoder_background(str(tmp_path), encoder)
    assert loaded is not None
    assert np.abs(loaded.rows - rows).max() < 0.004


def test_reference_rows_that_were_embedded_as_queries_are_refused():
    rows = encoder_of().encode([picture(seed) for seed in range(3)], domain="query")
    with pytest.raises(ValueError, match=r"must be \(m, 10\), embedded as sources"):
        encoder_of(reference=rows)
