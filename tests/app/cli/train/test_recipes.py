"""What options make of a recipe, and which combinations are refused before images are read."""

import json

import pytest

from app.cli.failures import BadInvocation
from app.cli.train.recipes import (
    choose_recipe,
    given,
    images_to_hold_out,
    refuse_beside_head,
    refuse_beside_head_kind,
    refuse_device,
    refuse_two_recipes,
    refuse_unfit,
    refuse_without_head_scope,
)
from app.cli.train.start import Start, refuse_own_replacement, start_from
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.recipes import Recipe, read_recipe, shipped
from models.backbones.residual import ResidualNet
from models.card import BackboneCard, Card, PartCard
from models.encoder import weights_digest
from models.images.preprocessing import Preprocessing
from models.published.registry import UnknownBackbone
from tests.support.tiny_backbones import tiny


def only(recipe):
    """The one phase of a recipe that has no more."""
    [phase] = recipe.phases.values()
    return phase


def test_options_change_the_file_and_only_where_given(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"batch": 32, "alignment": "moco", "logdet_weight": 0.2}))
    options = {"batch": None, "disentanglement": "koleo", "scope": None}
    recipe = only(choose_recipe(read_recipe(path), None, None, options))
    assert recipe == TrainingConfig(
        batch=32, alignment="moco", disentanglement="koleo", disentanglement_weight=0.2
    )
    start = Start(ResidualNet((8, 16, 16, 32), (0, 0, 0, 0)))
    chosen = choose_recipe(read_recipe(path), start, 20, {"scope": "last-2"})
    recipe = only(chosen)
    assert recipe.widths == (8, 16, 16, 32)
    assert recipe.initial
    assert recipe.steps == pytest.approx(20, abs=2)
    refuse_unfit(chosen, "cpu", net=start.net)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"disentanglement": "none", "disentanglement_weight": 0.5}, "give one"),
        ({"disentanglement": "ica", "disentanglement_weight": 0.0}, "--disentanglement none"),
        ({"disentanglement_weight": 0.5}, "give --disentanglement too"),
        ({"scope": "last-0"}, "--scope: String should match"),
        ({"batch": 9}, "--batch: Input should be a multiple of 2"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options, complaint):
    with pytest.raises(BadInvocation, match=complaint):
        choose_recipe(read_recipe(None), None, None, options)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"precision": "mixed"}, "--precision float32"), ({"scope": "last-2"}, "--from")],
)
def test_what_cannot_run_here_is_a_bad_invocation(options, complaint):
    with pytest.raises(BadInvocation, match=complaint):
        refuse_unfit(choose_recipe(read_recipe(None), None, None, options), "cpu")


def test_options_of_the_infomax_change_the_last_phase_and_a_start_decides_on_the_rest():
    net = tiny("vit")
    card = Card(
        name="dino-vits16",
        backbone=BackboneCard(name="dino-vits16"),
        preprocessing=Preprocessing(64, 64),
        parts=(PartCard(name="whole", head="none", dimension=32),),
    )
    stated = read_recipe(shipped("paper"))
    options = {"disentanglement": "koleo", "projector": "linear", "batch": 16}
    first, second = choose_recipe(stated, Start(net, card), None, options).phases.values()
    assert (first.projector, second.projector) == ("mlp", "linear")
    assert (first.disentanglement, second.disentanglement) == ("none", "koleo")
    assert (first.batch, second.batch) == (16, 16)
    assert (first.initial, second.initial) == (weights_digest(net), "alignment")
    for phase in (first, second):
        assert (phase.backbone, phase.image_side, phase.role_weight) == ("dino-vits16", 64, 0)
    other = Recipe(phases={"": TrainingConfig(backbone="mocov3-vits16", initial="x")})
    with pytest.raises(BadInvocation, match="has dino-vits16: leave backbone out"):
        choose_recipe(other, Start(net, card), None, {})
    with pytest.raises(BadInvocation, match="give --from mocov3-vits16"):
        choose_recipe(other, None, None, {})


def test_two_recipes_are_refused(tmp_path):
    refuse_two_recipes("paper", None)
    with pytest.raises(BadInvocation, match="give one"):
        refuse_two_recipes("paper", tmp_path)


def test_a_resumed_run_holds_out_what_it_held_out(tmp_path):
    default = read_recipe(None)
    assert images_to_hold_out(None, default, tmp_path) == 512
    assert images_to_hold_out(0, default, tmp_path) == 0
    (tmp_path / "recipe.json").write_text('{"seed": 1}')  # from before images were held out
    assert images_to_hold_out(None, default, tmp_path) == 512
    (tmp_path / "checkpoint.pt").touch()
    assert images_to_hold_out(None, default, tmp_path) == 0
    stated = tmp_path / "stated.json"
    stated.write_text('{"held_out": 30}')
    assert images_to_hold_out(None, read_recipe(stated), tmp_path) == 30
    assert images_to_hold_out(7, read_recipe(stated), tmp_path) == 7


def test_beside_a_head_alone_what_only_a_network_has_is_refused():
    refuse_beside_head("cca", linear={"batch": None}, precision=None, held_out=None)
    with pytest.raises(BadInvocation, match=r"no --precision and no --held-out: .*--scope full"):
        refuse_beside_head("linear", linear={}, precision="mixed", views=None, held_out=0)


def test_beside_a_head_that_is_not_trained_what_only_a_trained_one_has_is_refused():
    learning = {"batch": 64, "disentanglement_weight": 0.5}
    refuse_beside_head("linear", linear=learning)
    with pytest.raises(
        BadInvocation, match=r"no --batch and no --disentanglement-weight: .*linear"
    ):
        refuse_beside_head("cca", linear=learning)


def test_what_a_kind_of_head_would_ignore_is_refused():
    refuse_beside_head_kind("cca", components=8, head_images=100)
    refuse_beside_head_kind("linear", components=None, head_images=100)
    for head in ("none", "linear"):
        with pytest.raises(BadInvocation, match="leave out --components"):
            refuse_beside_head_kind(head, components=8, head_images=None)
    with pytest.raises(BadInvocation, match="leave out --head-images"):
        refuse_beside_head_kind("none", components=None, head_images=100)


def test_what_only_a_head_alone_has_is_refused_elsewhere(tmp_path):
    refuse_without_head_scope("cca", None, synthetic=[])
    with pytest.raises(BadInvocation, match="--head linear goes with --scope head"):
        refuse_without_head_scope("linear", None, synthetic=None)
    with pytest.raises(BadInvocation, match="--recipe head goes with --scope head"):
        refuse_without_head_scope("cca", "head", synthetic=None)
    with pytest.raises(BadInvocation, match="no --synthetic"):
        refuse_without_head_scope("cca", None, synthetic=[tmp_path])


def test_a_run_does_not_replace_the_encoder_that_it_starts_from(tmp_path):
    refuse_own_replacement(None, tmp_path)
    refuse_own_replacement("dino-vits16", tmp_path)
    with pytest.raises(BadInvocation, match="another --out"):
        refuse_own_replacement(str(tmp_path / "run" / ".." / "encoder"), tmp_path)


@pytest.mark.parametrize("device", ["nonsense", "meta", "cuda:99", ""])
def test_a_device_that_there_is_not_is_named(device):
    refuse_device("cpu")
    with pytest.raises(
        BadInvocation, match=f"--device: .*device {device!r}|--device: .*{device} is seen"
    ):
        refuse_device(device)


def test_a_mask_without_a_weight_is_of_nothing(tmp_path):
    with pytest.raises(BadInvocation, match="give --provenance-weight too"):
        choose_recipe(read_recipe(None), None, None, {"provenance_mask": "random"})
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"provenance_weight": 0.1}))
    chosen = choose_recipe(read_recipe(path), None, None, {"provenance_mask": "full"})
    assert only(chosen).provenance_mask == "full"
    with pytest.raises(BadInvocation, match="--provenance-weight: "):
        choose_recipe(read_recipe(None), None, None, {"provenance_weight": -1.0})


def test_contradictions_are_refused_whatever_the_recipe():
    assert given({"seed": 0, "batch": None}) == {"seed": 0}
    with pytest.raises(BadInvocation, match="give one"):
        given({"disentanglement": "none", "disentanglement_weight": 0.5})


def test_a_run_starts_from_a_folder_or_the_bundled_encoder_and_says_so(tmp_path):
    assert start_from(None, None) is None
    assert start_from("bundled", None).net.widths == (48, 96, 192, 384)
    with pytest.raises(BadInvocation, match="give its name as --from"):
        start_from(None, tmp_path)
    with pytest.raises(UnknownBackbone, match="no backbone is called"):
        start_from(str(tmp_path), None)


def test_a_recipe_of_another_network_than_the_one_given_is_refused(tmp_path):
    path = tmp_path / "recipe.json"
    start = Start(ResidualNet((8, 16, 16, 32), (0, 0, 0, 0)))
    path.write_text(json.dumps({"widths": [8, 16, 16, 32], "blocks": [0, 0, 0, 0]}))
    chosen = choose_recipe(read_recipe(path), start, None, {})
    assert only(chosen).widths == start.net.widths
    path.write_text(json.dumps({"widths": [8, 8, 8, 8]}))
    with pytest.raises(BadInvocation, match="leave widths out"):
        choose_recipe(read_recipe(path), start, None, {})
