"""Heads on a frozen backbone: trained or fitted from cached rows, and the encoder they make."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from attribution.training.data.framing import read_framed
from attribution.training.data.images import ImageSet
from attribution.training.heads.cached import cache_rows
from attribution.training.heads.head import HeadProgress, head_plans, train_head
from attribution.training.heads.linear import train_linear
from attribution.training.recipe.head_recipe import HeadRecipe
from attribution.training.recipe.plans import UnfitHead
from attribution.training.run.building import Description, build_encoder
from models import load_encoder
from models.backbones.features import Backbone, Features
from models.backbones.vit import VisionTransformer
from models.images.preprocessing import Preprocessing
from models.published import registry, timm_hub

SHAPE = Preprocessing(32, 32)


class Mosaic(Backbone):
    """Colours of 4 x 4 cells: crops and casts move them far."""

    dimension, patch_dimension = 48, 3

    def forward(self, images):
        cells = functional.adaptive_avg_pool2d(images, 4)
        return Features(cells.flatten(1), cells)


def image_set(n, seed=0, side=32, contrast=1.0):
    coarse = torch.rand(n, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    pixels = functional.interpolate(coarse * contrast, size=side, mode="bilinear")
    return ImageSet((pixels * 255).to(torch.uint8), tuple(f"{i:03d}.png" for i in range(n)))


def rank_of_sources(fitted, rows):
    """Mean reciprocal rank of the images of views that show one, under a map."""
    whole = rows.structure == rows.appearance
    cosines = fitted(rows.views[whole].float()) @ fitted(rows.images.float()).T
    own = cosines.gather(1, rows.structure[whole][:, None])
    return float((1 / (cosines >= own).sum(dim=1)).mean())


@pytest.mark.parametrize("disentanglement", ["logdet", "koleo", "ica", "none"])
def test_a_linear_head_starts_as_the_identity_and_finds_more_views_of_unseen_images(
    disentanglement,
):
    recipe = HeadRecipe(
        epochs=0, batch=64, learning_rate=0.01, disentanglement=disentanglement, views_per_image=2
    )
    seen = cache_rows(Mosaic(), image_set(300), SHAPE, views=600)
    unseen = cache_rows(Mosaic(), image_set(150, seed=1), SHAPE, views=300)
    start = train_linear(seen, recipe)
    assert torch.equal(start.weight, torch.eye(48))
    assert not start.mean.any()
    losses = []
    trained = train_linear(
        seen,
        recipe.model_copy(update={"epochs": 8}),
        lambda epoch, loss: losses.append((epoch, loss)),
    )
    assert [epoch for epoch, _ in losses] == list(range(1, 9))
    assert losses[-1][1] < losses[0][1]
    assert rank_of_sources(trained, unseen) > rank_of_sources(start, unseen) + 0.05


def test_a_linear_head_is_decided_by_its_seed_and_leaves_the_global_one_alone():
    rows = cache_rows(Mosaic(), image_set(60), SHAPE, views=60)
    recipe = HeadRecipe(epochs=2, batch=16, projection=8)
    state = torch.random.get_rng_state()
    first, again, other = (
        train_linear(rows, recipe.model_copy(update={"seed": seed})).weight for seed in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_decay_leads_back_to_the_identity():
    rows = cache_rows(Mosaic(), image_set(60), SHAPE, views=60)
    free, held = (
        train_linear(rows, HeadRecipe(epochs=5, batch=16, weight_decay=decay)).weight
        for decay in (0.0, 900.0)
    )
    assert (held - torch.eye(48)).norm() < 0.5 * (free - torch.eye(48)).norm()


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("none", []),
        ("whiten", ["whole"]),
        ("linear", ["whole"]),
        ("cca", ["structure", "appearance"]),
    ],
)
def test_parts_are_those_of_the_plans_and_progress_is_told(head, names):
    recipe = HeadRecipe(epochs=2, components=500)
    told: list[HeadProgress] = []
    made = train_head(
        Mosaic(), image_set(70), SHAPE, head=head, recipe=recipe, on_progress=told.append
    )
    parts = made.parts
    plans = head_plans(head, recipe, Mosaic().blocks_of_descriptor)
    assert [part.name for part in parts] == names
    assert head == "none" or [plan.name for plan in plans] == names
    assert all(part.source.weight.shape == (48, 48) and part.query is None for part in parts)
    described = [(each.done, each.total) for each in told if each.stage == "images"]
    assert described == ([] if head == "none" else [(32, 70), (64, 70), (70, 70)])
    assert len([each for each in told if each.stage == "epochs"]) == (2 if head == "linear" else 0)
    assert made.described.shape == (0 if head == "none" else 70, 48)


def test_whitening_with_a_second_domain_gives_each_unit_covariance():
    real, synthetic = image_set(400), image_set(300, seed=1, contrast=0.5)
    [part] = train_head(
        Mosaic(), real, SHAPE, head="whiten", recipe=HeadRecipe(components=12), synthetic=synthetic
    ).parts
    assert part.query is not None
    for images, fitted in ((real, part.source), (synthetic, part.query)):
        rows = cache_rows(Mosaic(), images, SHAPE, views=0).images.float()
        covariance = np.cov(((rows - fitted.mean) @ fitted.weight).numpy().T)
        assert np.allclose(covariance, np.eye(12), atol=0.05)
    covariance = np.cov(((rows - part.source.mean) @ part.source.weight).numpy().T)
    assert np.trace(covariance) < 0.5 * 12


def test_what_cannot_be_made_is_said_before_anything_is_described():
    class Untouchable(Mosaic):
        def forward(self, images):
            raise AssertionError("described")

    def wide_by(columns):
        return type("Wide", (Untouchable,), {"dimension": columns})

    def make(head, *, n=60, synthetic=None, backbone=Untouchable, **knobs):
        recipe = HeadRecipe(**knobs)
        train_head(backbone(), image_set(n), SHAPE, head=head, recipe=recipe, synthetic=synthetic)

    with pytest.raises(UnfitHead, match=r"20 synthetic images .* give 48 or more"):
        make("whiten", synthetic=image_set(20))
    with pytest.raises(UnfitHead, match="none has no map"):
        make("none", synthetic=image_set(60))
    with pytest.raises(UnfitHead, match="lower --components"):
        make("cca", n=40)
    with pytest.raises(UnfitHead, match="2000 views of 2500 images"):
        make("cca", n=2500, backbone=wide_by(2400), components=2400, views_per_image=0.1)
    with pytest.raises(UnfitHead, match="give 8"):
        make("linear", n=7)
    with pytest.raises(UnfitHead, match="choose koleo or none"):
        make("linear", backbone=wide_by(5000))
    with pytest.raises(UnfitHead, match="give 11 images or more"):
        make("cca", n=10, components=8)


def test_small_sets_have_a_view_each_and_large_ones_the_share_of_the_recipe():
    assert [HeadRecipe().views_of(images) for images in (10, 2000, 3000, 5000)] == [
        10, 2000, 2000, 3000,
    ]  # fmt: skip
    assert HeadRecipe(views_per_image=2).views_of(100) == 200


def test_a_loss_that_is_not_a_number_is_said():
    rows = cache_rows(Mosaic(), image_set(20), SHAPE, views=20)
    broken = replace(rows, images=rows.images * float("nan"))
    with pytest.raises(UnfitHead, match="lower the learning rate"):
        train_linear(broken, HeadRecipe(epochs=1, disentanglement="none"))


@pytest.fixture
def published(monkeypatch, tmp_path):
    """One block behind the name dino-vits16, at 64 pixels, and an official file of it."""
    spec = registry.spec("dino-vits16")
    shape = replace(spec.preprocessing, height=64, width=64)
    small = replace(spec, options={"depth": 1}, preprocessing=shape)
    monkeypatch.setattr(registry, "PUBLISHED", {**registry.PUBLISHED, spec.name: small})

    def refuse(name):
        raise AssertionError(f"{name} was to be downloaded")

    monkeypatch.setattr(timm_hub, "fetch", refuse)
    torch.manual_seed(0)
    path = tmp_path / "dino_deitsmall16_pretrain.pth"
    torch.save(VisionTransformer(spec.architecture, depth=1).network.state_dict(), path)
    return path


@pytest.mark.parametrize("head", ["linear", "cca"])
def test_a_head_on_a_published_backbone_becomes_a_folder_that_needs_no_download(
    published, tmp_path, head
):
    start = load_encoder("dino-vits16", weights=published)
    shape = start.card.preprocessing
    recipe = HeadRecipe(epochs=1, batch=16, components=16, disentanglement="koleo")
    made = train_head(
        start.backbone, image_set(24, side=64), shape, head=head, recipe=recipe,
        synthetic=image_set(384, seed=1, side=64) if head == "linear" else None,
    )  # fmt: skip
    pictures = [
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (80, 99, 3), dtype=np.uint8))
        for seed in range(12)
    ]
    built = build_encoder(
        tmp_path / "encoder", start.backbone, None, config=recipe,
        description=Description("fine-tuned"), parts=made.parts, origin=start.card,
        plans=head_plans(head, recipe, start.backbone.blocks_of_descriptor),
        described=made.described, mirrored_query=False,
    )  # fmt: skip
    loaded = load_encoder(str(tmp_path / "encoder"))
    assert loaded.model_id == built.model_id != start.model_id
    assert loaded.card.backbone.name == "dino-vits16"
    assert loaded.card.preprocessing == start.card.preprocessing
    assert loaded.card.licence == "Apache-2.0"
    assert loaded.card.recipe["batch"] == 16
    assert len(loaded.reference) == 24
    assert {part.head for part in loaded.card.parts} == {head}
    query, source = (loaded.encode(pictures, domain=domain) for domain in ("query", "source"))
    assert np.array_equal(query, built.encode(pictures, domain="query"))
    # a second map of queries where there were synthetic images, and only there
    assert np.array_equal(query[:, :16], source[:, :16]) == (head == "cca")


def test_reference_rows_are_those_of_the_pictures_themselves(published, tmp_path):
    start = load_encoder("dino-vits16", weights=published)
    shape = start.card.preprocessing
    (tmp_path / "images").mkdir()
    pictures = []
    for name, pixels in zip(image_set(24).names, image_set(24, side=80).pixels, strict=True):
        pictures.append(Image.fromarray(pixels.permute(1, 2, 0).numpy()))
        pictures[-1].save(tmp_path / "images" / name)
    recipe = HeadRecipe(components=8)
    images = read_framed([tmp_path / "images"], shape)
    made = train_head(start.backbone, images, shape, head="cca", recipe=recipe)
    plans = head_plans("cca", recipe, start.backbone.blocks_of_descriptor)
    again, cached = (
        build_encoder(
            tmp_path, start.backbone, None, config=recipe, description=Description("same"),
            parts=made.parts, origin=start.card, plans=plans, mirrored_query=False, **given,
        ).reference
        for given in ({"reference": pictures}, {"described": made.described})
    )  # fmt: skip
    assert again.shape == cached.shape == (24, 18)
    assert np.allclose(again, cached, atol=0.02)  # kept in eight bits


def test_a_backbone_of_unknown_origin_cannot_be_saved(tmp_path):
    with pytest.raises(UnfitHead, match="as origin"):
        build_encoder(
            tmp_path, Mosaic(), None, config=HeadRecipe(), description=Description("?"),
            plans=head_plans("none", HeadRecipe(), Mosaic().blocks_of_descriptor), parts=(),
        )  # fmt: skip
