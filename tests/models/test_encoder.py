"""Encoders: rows of unit parts, checkpoints that come back equal, ids that never collide."""

import json
import stat

import numpy as np
import pytest
import torch
from PIL import Image

from models import load_encoder
from models.backbones.residual import ResidualNet, descriptor_layout
from models.background import BACKGROUND, Background, read_background, thumbnail, write_background
from models.card import BackboneCard, Card, PartCard
from models.checkpoints import BadCheckpoint, load_encoder_folder, save_encoder
from models.encoder import Encoder
from models.heads import AffineMap, Head, HeadPart
from models.images.preprocessing import Preprocessing
from models.loading import load_encoder_background
from tests.support.encoders import ThumbnailBackbone, thumbnail_encoder, trained_network
from tests.support.pictures import picture


def save_small(folder, *, seed=0, size=64, parts=2):
    torch.manual_seed(seed)
    net = ResidualNet((8, 8, 16, 16), (1, 0, 1, 0)).eval()
    generator = torch.Generator().manual_seed(seed)
    names = ("structure", "appearance")[:parts]
    fitted = tuple(
        HeadPart(
            name,
            AffineMap(
                torch.zeros(net.dimension), torch.randn(net.dimension, 12, generator=generator)
            ),
        )
        for name in names
    )
    reference = np.random.default_rng(seed).normal(size=(30, 12 * parts)).astype(np.float32)
    card = Card(
        name="small",
        backbone=BackboneCard(name="residual", widths=net.widths, blocks=net.blocks),
        preprocessing=Preprocessing(height=size, width=size),
        parts=tuple(PartCard(name=name, head="cca", dimension=12) for name in names),
        fusion="harmonic-mean-p" if parts > 1 else "single",
    )
    save_encoder(folder, card, net, fitted, reference=reference if parts > 1 else None)
    return net


def test_rows_have_unit_parts_and_do_not_depend_on_the_batch(tmp_path):
    save_small(tmp_path)
    encoder = load_encoder(str(tmp_path))
    images = [picture(seed) for seed in range(7)]
    rows = encoder.encode(images, batch_size=3)
    assert rows.shape == (7, 24)
    assert rows.dtype == np.float32
    for part in encoder.parts:
        assert np.allclose(np.linalg.norm(rows[:, part.columns], axis=1), 1, atol=1e-5)
    alone = np.concatenate([encoder.encode([image]) for image in images])
    assert np.abs(rows - alone).max() < 1e-4
    assert encoder.encode([]).shape == (0, 24)


def test_patches_are_unit_vectors_on_a_grid(tmp_path):
    save_small(tmp_path)
    encoder = load_encoder(str(tmp_path))
    maps = encoder.patches([picture(0), picture(1)])
    assert maps.shape == (2, 8, 8, 8 + 8 + 16)  # all stages but the last, on the second one's grid
    assert np.allclose(np.linalg.norm(maps, axis=-1), 1, atol=1e-5)
    assert [part.dimension for part in encoder.patch_blocks] == [8, 8, 16]
    assert encoder.patches([]).shape == (0, 0, 0, 32)


def test_patches_of_a_cropping_encoder_cover_the_whole_picture(tmp_path):
    save_small(tmp_path)
    squashing = load_encoder_folder(tmp_path)
    card = squashing.card.model_copy(
        update={"preprocessing": Preprocessing(height=64, width=64, resize="centre-crop")}
    )
    cropping = Encoder(card, squashing.backbone, squashing.head, reference=squashing.reference)
    wide = picture(0, size=(200, 60))
    assert not torch.equal(cropping.preprocess(wide), squashing.preprocess(wide))
    np.testing.assert_array_equal(cropping.patches([wide]), squashing.patches([wide]))


def test_saving_and_loading_twice_gives_the_same_encoder(tmp_path):
    save_small(tmp_path)
    first, second = load_encoder_folder(tmp_path), load_encoder_folder(tmp_path)
    assert first.model_id == second.model_id
    assert np.array_equal(first.encode([picture(0)]), second.encode([picture(0)]))


def test_the_model_id_tells_weights_head_and_preprocessing_apart(tmp_path):
    ids = set()
    for number, options in enumerate([{}, {"seed": 1}, {"size": 96}, {"parts": 1}]):
        save_small(tmp_path / str(number), **options)
        ids.add(load_encoder_folder(tmp_path / str(number)).model_id)
    assert len(ids) == 4


def test_files_are_readable_by_others(tmp_path):
    save_small(tmp_path)
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & stat.S_IRGRP, file


@pytest.mark.parametrize("damage", ["truncated", "missing", "not a card", "unknown field", "shape"])
def test_a_damaged_folder_is_refused_with_the_file_named(tmp_path, damage):
    save_small(tmp_path)
    weights, card = tmp_path / "encoder.safetensors", tmp_path / "card.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "missing":
        weights.unlink()
    elif damage == "not a card":
        card.write_text("[")
    else:
        content = json.loads(card.read_text())
        if damage == "unknown field":
            content["colour"] = "red"
        else:
            content["backbone"]["widths"] = [8, 8, 16, 32]
        card.write_text(json.dumps(content))
    with pytest.raises(BadCheckpoint, match=r"encoder\.safetensors|card\.json"):
        load_encoder_folder(tmp_path)


def test_a_background_comes_back_nearly_equal_and_belongs_to_its_encoder(tmp_path):
    save_small(tmp_path)
    encoder = load_encoder_folder(tmp_path)
    images = [picture(seed) for seed in range(5)]
    rows = encoder.encode(images)
    thumbnails = np.stack([thumbnail(image) for image in images])
    write_background(tmp_path / BACKGROUND, Background(encoder.model_id, rows, thumbnails))
    loaded = load_encoder_background(str(tmp_path), encoder)
    assert loaded is not None
    assert np.abs(loaded.rows @ rows.T - rows @ rows.T).max() < 5e-3
    assert np.array_equal(loaded.thumbnails, thumbnails)
    write_background(tmp_path / BACKGROUND, Background("another", rows, thumbnails))
    with pytest.raises(BadCheckpoint, match="another"):
        load_encoder_background(str(tmp_path), encoder)


def test_a_folder_without_background_has_none(tmp_path):
    save_small(tmp_path)
    assert read_background(tmp_path / BACKGROUND) is None


def test_the_blocks_of_a_descriptor_have_unit_length_and_the_last_needs_no_weights():
    torch.manual_seed(0)
    net = ResidualNet((8, 8, 16, 16), (1, 0, 1, 0)).eval()
    images = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        whole, learnt = net(images).pooled, net.learnt(images).pooled
    layout = {part.name: part for part in descriptor_layout(net.widths)}
    assert list(layout) == ["global", "layout", "stage1", "stage2", "stage3", "gradients"]
    assert whole.shape == (3, net.dimension)
    for part in layout.values():
        assert torch.allclose(whole[:, part.columns].norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.equal(learnt, whole[:, : layout["gradients"].start])


def test_rows_and_maps_are_those_of_the_network_as_it_was_trained():
    net = trained_network()
    card = Card(
        name="small",
        backbone=BackboneCard(name="residual", widths=net.widths, blocks=net.blocks),
        preprocessing=Preprocessing(height=64, width=64),
        parts=(PartCard(name="whole", head="none", dimension=net.dimension),),
    )
    encoder = Encoder(card, net, Head(net.dimension))
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = encoder.head(net(images).pooled, "source")
        maps = torch.nn.functional.normalize(net.patch_map(images), dim=1)
    assert np.abs(encoder.embed(images) - expected.numpy()).max() < 1e-5
    assert np.abs(encoder.embed_patches(images) - maps.permute(0, 2, 3, 1).numpy()).max() < 1e-5
    assert any(isinstance(each, torch.nn.BatchNorm2d) for each in encoder.backbone.modules())


def test_a_map_that_reads_some_columns_comes_back_nearly_equal(tmp_path):
    torch.manual_seed(0)
    net = ResidualNet((8, 8, 16, 16), (1, 0, 1, 0)).eval()
    columns = torch.tensor([3, 40, 7, 100])
    fitted = AffineMap(torch.randn(4), torch.randn(4, 3), columns)
    card = Card(
        name="small",
        backbone=BackboneCard(name="residual", widths=net.widths, blocks=net.blocks),
        preprocessing=Preprocessing(height=64, width=64),
        parts=(PartCard(name="whole", head="cca", dimension=3),),
    )
    save_encoder(tmp_path, card, net, (HeadPart("whole", fitted),))
    descriptors = torch.randn(10, net.dimension)
    expected = torch.nn.functional.normalize(
        (descriptors[:, [3, 40, 7, 100]] - fitted.mean) @ fitted.weight, dim=1
    )
    found = load_encoder_folder(tmp_path).head(descriptors)
    assert torch.allclose(found, expected, atol=0.02)
    assert not torch.allclose(found, expected, atol=1e-7)  # int8 on disk


def test_pixels_are_scaled_to_the_mean_and_deviation_of_each_channel():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    image = picture(0, size=(64, 48))
    found = Preprocessing(48, 64, mean=mean, std=std)(image)
    levels = torch.tensor(np.array(image)).double().permute(2, 0, 1) / 255
    expected = (levels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    assert torch.allclose(found.double(), expected, atol=1e-6)


def test_squashing_keeps_the_border_and_cropping_does_not():
    image = Image.new("RGB", (300, 100), "black")
    image.paste("white", (0, 0, 30, 100))
    squashed = Preprocessing(64, 64)(image)
    cropped = Preprocessing(64, 64, resize="centre-crop")(image)
    assert squashed.shape == cropped.shape == (3, 64, 64)
    assert squashed.max() > 1.9
    assert cropped.max() < -1.9


def test_the_bundled_encoder_fits_its_promises():
    encoder = load_encoder()
    from models.loading import BUNDLED  # noqa: PLC0415

    own = [BUNDLED / "encoder.safetensors", BUNDLED / "card.json"]
    assert sum(file.stat().st_size for file in own) <= 12_000_000
    background = load_encoder_background("bundled", encoder)
    assert background is not None
    assert len(background) >= 5_000
    assert encoder.card.command
    assert encoder.card.data
    pictures = [picture(seed, (160, 120)) for seed in range(6)]
    flipped = [each.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for each in pictures]
    rows, queries = encoder.encode(pictures), encoder.encode(flipped, domain="query")
    for part in encoder.parts:
        similarities = [
            view[:, part.columns] @ rows[:, part.columns].T
            for view in np.split(queries, encoder.views, axis=1)
        ]
        assert np.max(similarities, axis=0).argmax(axis=1).tolist() == list(range(6))


def test_the_hubness_correction_is_an_inner_product_with_one_column_more():
    generator = torch.Generator().manual_seed(3)
    parts = tuple(
        HeadPart(name, AffineMap(torch.zeros(20), torch.randn(20, width, generator=generator)))
        for name, width in (("structure", 6), ("appearance", 4))
    )
    plain = Head(20, parts)
    bank = plain(torch.randn(40, 20, generator=generator))
    head = Head(20, parts, hubness=0.5, bank=bank)
    queries, sources = (
        torch.randn(3, 20, generator=generator),
        torch.randn(5, 20, generator=generator),
    )
    found = [
        head(queries, "query")[:, part.columns] @ head(sources, "source")[:, part.columns].T
        for part in head.parts
    ]
    for each, part in zip(found, plain.parts, strict=True):
        rows, against = plain(sources)[:, part.columns], bank[:, part.columns]
        for q, query in enumerate(plain(queries)[:, part.columns]):
            for s, source in enumerate(rows):
                nearest = sorted((float(source @ other) for other in against), reverse=True)[:10]
                slow = float(query @ source) - 0.5 * sum(nearest) / 10
                assert float(each[q, s]) == pytest.approx(slow, abs=1e-5)
    asked = head.bank_as_queries()
    for part, width in zip(head.parts, (6, 4), strict=True):
        assert torch.allclose(asked[:, part.stop - 1], torch.full((40,), width**-0.5))
    again = head.corrected_bank()[7, head.parts[0].columns]
    others = [float(bank[7, :6] @ bank[i, :6]) for i in range(40) if i != 7]
    slow = -0.5 * sum(sorted(others, reverse=True)[:10]) / 10 * 6**0.5
    assert float(again[-1]) == pytest.approx(slow, abs=1e-5)


def test_a_source_can_be_asked_about_as_a_query():
    generator = torch.Generator().manual_seed(3)
    part = HeadPart("whole", AffineMap(torch.zeros(64), torch.randn(64, 10, generator=generator)))
    bank = Head(64, (part,))(torch.randn(40, 64, generator=generator))
    backbone = ThumbnailBackbone()
    for hubness in (0.0, 0.5):
        head = Head(64, (part,), hubness=hubness, bank=bank)
        encoder = Encoder(thumbnail_encoder().card, backbone, head, reference=None)
        images = [picture(seed) for seed in range(4)]
        rows = encoder.encode(images)
        asked = encoder.as_queries(rows)
        assert asked == pytest.approx(encoder.encode(images, domain="query"), abs=1e-6)
        assert np.array_equal(rows, encoder.encode(images))  # left as they were


def test_how_much_hubs_are_corrected_is_part_of_what_an_encoder_is(tmp_path):
    ids = set()
    for hubness in (0.0, 0.3, 0.5):
        save_small(tmp_path)
        card = json.loads((tmp_path / "card.json").read_text()) | {"hubness": hubness}
        for part in card["parts"]:
            part["dimension"] = 13 if hubness else 12
        (tmp_path / "card.json").write_text(json.dumps(card))
        ids.add(load_encoder_folder(tmp_path).model_id)
    assert len(ids) == 3


def test_a_correction_without_a_bank_is_refused():
    part = HeadPart("whole", AffineMap(torch.zeros(4), torch.eye(4)))
    with pytest.raises(ValueError, match="bank of more than 10"):
        Head(4, [part], hubness=0.5, bank=torch.eye(4))
