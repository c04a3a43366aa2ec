"""What options make of a recipe, and which combinations are refused before images are read."""

import json

import pytest

from app.cli.failures import BadInvocation
from app.cli.recipes import choose_recipe, images_to_hold_out, refuse_unfit
from attribution.training.config import TrainingConfig
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
