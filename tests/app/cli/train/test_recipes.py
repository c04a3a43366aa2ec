"""What options make of a recipe, and which combinations are refused before images are read."""

import json

import pytest

from app.cli.failures import BadInvocation
from app.cli.train.recipes import (
    choose_recipe,
    given,
    images_to_hold_out,
    network_to_start_from,
    refuse_beside_head,
    refuse_beside_head_kind,
    refuse_device,
    refuse_own_replacement,
    refuse_unfit,
    refuse_without_head_scope,
)
from attribution.training.recipe.config import TrainingConfig
from models.backbones.residual import ResidualNet


def test_options_change_the_file_and_only_where_given(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"batch": 32, "alignment": "moco", "logdet_weight": 0.2}))
    options = {"batch": None, "disentanglement": "koleo", "scope": None}
    recipe = choose_recipe(path, None, None, options)
    assert recipe == TrainingConfig(
        batch=32, alignment="moco", disentanglement="koleo", disentanglement_weight=0.2
    )
    start = ResidualNet((8, 16, 16, 32), (0, 0, 0, 0))
    recipe = choose_recipe(path, start, 20, {"scope": "last-2"})
    assert recipe.widths == (8, 16, 16, 32)
    assert recipe.initial
    assert recipe.steps == pytest.approx(20, abs=2)
    refuse_unfit(recipe, "cpu")


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
        choose_recipe(None, None, None, options)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"precision": "mixed"}, "--precision float32"), ({"scope": "last-2"}, "--from")],
)
def test_what_cannot_run_here_is_a_bad_invocation(options, complaint):
    with pytest.raises(BadInvocation, match=complaint):
        refuse_unfit(choose_recipe(None, None, None, options), "cpu")


def test_a_resumed_run_holds_out_what_it_held_out(tmp_path):
    assert images_to_hold_out(None, None, tmp_path) == 512
    assert images_to_hold_out(0, None, tmp_path) == 0
    (tmp_path / "recipe.json").write_text('{"seed": 1}')  # from before images were held out
    assert images_to_hold_out(None, None, tmp_path) == 512
    (tmp_path / "checkpoint.pt").touch()
    assert images_to_hold_out(None, None, tmp_path) == 0
    stated = tmp_path / "stated.json"
    stated.write_text('{"held_out": 30}')
    assert images_to_hold_out(None, stated, tmp_path) == 30
    assert images_to_hold_out(7, stated, tmp_path) == 7


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
    refuse_without_head_scope("cca", weights=None, synthetic=[])
    with pytest.raises(BadInvocation, match="--head linear goes with --scope head"):
        refuse_without_head_scope("linear", weights=None, synthetic=None)
    with pytest.raises(BadInvocation, match="no --weights and no --synthetic"):
        refuse_without_head_scope("cca", weights=tmp_path, synthetic=[tmp_path])


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
        choose_recipe(None, None, None, {"provenance_mask": "random"})
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"provenance_weight": 0.1}))
    assert choose_recipe(path, None, None, {"provenance_mask": "full"}).provenance_mask == "full"
    with pytest.raises(BadInvocation, match="--provenance-weight: "):
        choose_recipe(None, None, None, {"provenance_weight": -1.0})


def test_contradictions_are_refused_whatever_the_recipe():
    assert given({"seed": 0, "batch": None}) == {"seed": 0}
    with pytest.raises(BadInvocation, match="give one"):
        given({"disentanglement": "none", "disentanglement_weight": 0.5})


def test_a_run_starts_from_a_folder_or_the_bundled_encoder_and_says_so(tmp_path):
    assert network_to_start_from(None) is None
    assert network_to_start_from("bundled").widths == (48, 96, 192, 384)
    for name in ("dino-vits16", str(tmp_path)):
        with pytest.raises(BadInvocation, match="goes with --scope head"):
            network_to_start_from(name)


def test_a_recipe_of_another_network_than_the_one_given_is_refused(tmp_path):
    path = tmp_path / "recipe.json"
    start = ResidualNet((8, 16, 16, 32), (0, 0, 0, 0))
    path.write_text(json.dumps({"widths": [8, 16, 16, 32], "blocks": [0, 0, 0, 0]}))
    assert choose_recipe(path, start, None, {}).widths == start.widths
    path.write_text(json.dumps({"widths": [8, 8, 8, 8]}))
    with pytest.raises(BadInvocation, match="leave widths out"):
        choose_recipe(path, start, None, {})
