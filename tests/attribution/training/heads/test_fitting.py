"""Heads fitted on views, and the encoder folder that comes of it."""

import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from attribution.synthesis.background import StrataSizes
from attribution.training.data.images import (
    NoImages,
    member_names,
    read_images,
    read_pictures,
)
from attribution.training.data.views import crop_in_place
from attribution.training.heads.fitting import describe, fit_parts
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.plans import PartPlan, UnfitHead, check_plans, plans_for
from attribution.training.run.building import Description, build_encoder, reference_places
from models.backbones.residual import ResidualNet
from models.images.preprocessing import Preprocessing
from models.loading import load_encoder, load_encoder_background
from models.parts import consecutive_parts
from tests.support.runs import image_set


def net():
    torch.manual_seed(0)
    return ResidualNet((8, 8, 8, 16), (0, 0, 0, 0)).eval()


def png(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def test_fitting_repeats_and_uses_only_the_blocks_it_may():
    plan = PartPlan("appearance", "cca", ("views", "appearance"), 8, ("stage1", "stage2"))
    first, again = (
        fit_parts(net(), image_set(60), [plan], Preprocessing(48, 48), seed=3) for _ in range(2)
    )
    assert torch.equal(first[0].source.weight, again[0].source.weight)
    layout = {part.name: part for part in net().blocks_of_descriptor}
    read = [*range(layout["stage1"].start, layout["stage2"].stop)]
    assert first[0].source.columns.tolist() == read


def test_an_outline_fitted_in_place_finds_what_was_cropped_better_than_one_fitted_on_any_views():
    images, shape = image_set(300), Preprocessing(48, 48)
    blocks = net().blocks_of_descriptor
    [planned] = [plan for plan in plans_for("cca", 64, blocks) if plan.name == "outline"]
    former = replace(planned, pairs=("views", "structure"))
    asked = crop_in_place(images.batch(torch.arange(300)), 48, torch.Generator().manual_seed(9))
    found = {}
    for plan in (planned, former):
        [part] = fit_parts(net(), images, [plan], shape)
        sources, queries = (
            part.source(describe(net(), each, shape))
            for each in (images.batch(torch.arange(300)), asked)
        )
        cosines = queries @ sources.T
        found[plan.pairs] = (cosines.argmax(dim=1) == torch.arange(300)).float().mean()
    assert found[planned.pairs] > found[former.pairs] + 0.05


def test_without_a_head_no_image_is_described():
    told = []
    parts = fit_parts(
        net(), image_set(60), plans_for("none", 8), Preprocessing(48, 48), on_images=told.append
    )
    assert parts == ()
    assert told == []


def test_a_descriptor_of_one_block_has_a_part_a_role_and_no_outline():
    whole = consecutive_parts([("whole", 20)])
    plans = plans_for("cca", 500, whole)
    assert [(plan.name, plan.components) for plan in plans] == [
        ("structure", 20),
        ("appearance", 20),
    ]
    assert [plan.name for plan in plans_for("whiten", 8, whole)] == ["whole"]
    assert plans_for("cca", 8, net().blocks_of_descriptor) == plans_for("cca", 8)


def test_images_of_another_size_and_heads_without_closed_form_are_refused():
    with pytest.raises(UnfitHead, match="48 x 48 pixels for an encoder that sees 64 x 64"):
        fit_parts(net(), image_set(60), plans_for("whiten", 8), Preprocessing(64, 64))
    with pytest.raises(UnfitHead, match="linear"):
        fit_parts(net(), image_set(4), plans_for("linear", 8), Preprocessing(48, 48))


@pytest.mark.parametrize(("head", "parts"), [("cca", 3), ("whiten", 1), ("none", 1)])
def test_a_built_encoder_loads_and_knows_its_background(tmp_path, head, parts):
    pictures = [Image.open(io.BytesIO(png(seed))) for seed in range(50)]
    built = build_encoder(
        tmp_path, net(), image_set(60), config=TrainingConfig(), description=Description("test"),
        plans=plans_for(head, 8), reference=pictures[:30], background=pictures[30:],
        background_count=20, strata=StrataSizes(1, 4), size=48,
    )  # fmt: skip
    loaded = load_encoder(str(tmp_path))
    background = load_encoder_background(str(tmp_path), loaded)
    assert loaded.model_id == built.model_id
    assert len(loaded.parts) == parts
    assert [part.head for part in loaded.card.parts] == [head] * parts
    assert background is not None
    assert background.rows.shape == (25, loaded.query_dimension)
    assert np.bincount(background.strata).tolist() == [20, 1, 4]
    assert len(loaded.reference) == 30


def test_a_head_that_cannot_be_fitted_is_refused_before_training():
    with pytest.raises(UnfitHead, match="lower --components"):
        check_plans(plans_for("whiten", 500), descriptor=400, images=5000)
    with pytest.raises(UnfitHead, match="lower --components"):
        check_plans(plans_for("cca", 300), descriptor=400, images=200)
    check_plans(plans_for("none", 500), descriptor=400, images=10)


def test_reference_rows_are_spread_over_all_images():
    assert reference_places(0) == []
    assert reference_places(7) == list(range(7))
    for images in (1000, 1001, 1999, 25_000):
        places = reference_places(images)
        assert len(set(places)) == 1000
        assert places[0] == 0
        assert images - places[-1] <= -(-images // 1000)


def test_a_new_encoder_does_not_keep_the_background_of_the_one_before(tmp_path):
    pictures = [Image.open(io.BytesIO(png(seed))) for seed in range(20)]
    for background in (pictures, None):
        build_encoder(
            tmp_path, net(), image_set(60), config=TrainingConfig(),
            description=Description("test"), plans=plans_for("whiten", 8), background=background,
            size=48,
        )  # fmt: skip
    assert load_encoder_background(str(tmp_path), load_encoder(str(tmp_path))) is None


def test_images_are_read_from_folders_and_tars_in_order_without_those_held_out(tmp_path):
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.png", "a.png", "deep/c.png"):
        (folder / name).write_bytes(png(len(name)))
    (folder / "broken.png").write_bytes(png(1)[:40])
    (folder / "notes.txt").write_text("no image")
    (folder / "folder.png").mkdir()
    (folder / "lost.png").symlink_to(folder / "nowhere.png")
    with tarfile.open(tmp_path / "more.tar", "w") as archive:
        for name in ("2.png", "1.png"):
            data = png(7)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    images = read_images([folder, tmp_path / "more.tar"], side=16, exclude=frozenset({"b.png"}))
    assert images.names == ("a.png", "deep/c.png", "1.png", "2.png")
    assert images.pixels.shape == (4, 3, 16, 16)
    assert images.pixels.dtype == torch.uint8
    assert member_names([folder, tmp_path / "more.tar"]) == {
        "a.png", "b.png", "broken.png", "deep/c.png", "1.png", "2.png",
    }  # fmt: skip
    [held] = read_pictures([folder], frozenset({"b.png"}))
    assert held.size == (30, 20)


def test_nothing_readable_is_an_error(tmp_path):
    with pytest.raises(NoImages, match="no readable image"):
        read_images([tmp_path], side=16)
    (tmp_path / "cut.tar").write_bytes(b"junk")
    for read in (member_names, lambda paths: read_images(paths, side=16)):
        with pytest.raises(NoImages, match="no tar file"):
            read([tmp_path / "cut.tar"])
    with pytest.raises(NoImages, match="no such folder"):
        read_images([tmp_path / "absent"], side=16)
