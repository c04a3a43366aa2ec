"""Recipes: read from files, older names understood, nonsense refused."""

import json

import pytest
import torch
from pydantic import ValidationError

from attribution.training.recipe.config import ResolutionStage, TrainingConfig
from attribution.training.recipe.precision import Precision
from attribution.training.recipe.preflight import UnfitRun, check_run
from attribution.training.recipe.recipes import BadRecipe, read_config
from models.backbones.residual import ResidualNet
from models.images.preprocessing import Preprocessing

SHORT = TrainingConfig(
    stages=(ResolutionStage(size=32, steps=4), ResolutionStage(size=48, steps=3)), warmup=2
)


def test_recipes_are_read_from_yaml_and_refused_when_wrong(tmp_path):
    good = tmp_path / "good.yaml"
    good.write_text("seed: 3\nstages:\n  - {size: 48, steps: 10}\n")
    assert read_config(good).seed == 3
    assert read_config(good).steps == 10
    bad = tmp_path / "bad.yaml"
    bad.write_text("sede: 3\n")
    with pytest.raises(BadRecipe, match="sede"):
        read_config(bad)


def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path):
    path = tmp_path / "recipe.json"
    for recipe, says in {
        '{"btach": 3, "seed": "x"}': "seed: Input should be a valid integer, unable to parse "
        "string as an integer; btach: Extra inputs are not permitted",
        "[1]": "Input should be a valid dictionary",
        '{"widths": [8, 16], "blocks": [1]}': "2 widths but 1 numbers of blocks: give one of "
        "each a stage",
    }.items():
        path.write_text(recipe)
        with pytest.raises(BadRecipe) as caught:
            read_config(path)
        assert str(caught.value) == f"{path}: {says}"


@pytest.mark.parametrize(
    "recipe", ["[" * 5_000, "seed: -1", f"seed: {2**39}", "disentanglement_weight: .inf"]
)
def test_what_would_fail_later_is_refused_with_the_file(tmp_path, recipe):
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe)
    with pytest.raises(BadRecipe, match=r"recipe\.yaml: "):
        read_config(path)


def test_a_recipe_shrinks_with_its_steps():
    assert SHORT.scaled(14).steps == 14
    short = TrainingConfig().scaled(TrainingConfig().steps // 10)
    assert (short.warmup, short.prototype_freeze, short.teacher_temperature_warmup) == (10, 15, 60)
    assert TrainingConfig(warmup=0).scaled(1).warmup == 0


def test_former_names_mean_what_they_did(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"logdet_weight": 0.3, "logdet_batches": 2}))
    recipe = read_config(path)
    assert (recipe.disentanglement, recipe.disentanglement_weight) == ("logdet", 0.3)
    assert recipe.disentanglement_batches == 2
    path.write_text("{}")
    assert read_config(path) == TrainingConfig(disentanglement="none", held_out=0)
    assert TrainingConfig.model_validate({"logdet_weight": 0}).disentanglement_weight == 0
    path.write_text(json.dumps({"logdet_weight": 0.3, "disentanglement_weight": 0.3}))
    with pytest.raises(BadRecipe, match="former name"):
        read_config(path)
    with pytest.raises(ValidationError):
        TrainingConfig.model_validate([])


def test_a_recipe_comes_back_from_its_json():
    recipe = TrainingConfig(alignment="dino", scope="last-3", views="plain", held_out=7)
    assert TrainingConfig.model_validate_json(recipe.model_dump_json()) == recipe
    assert not recipe.draws_mixed
    assert TrainingConfig().draws_mixed


@pytest.mark.parametrize("scope", ["last-0", "last-", "last-x", "first-2", "Full"])
def test_a_scope_is_full_or_counts_the_last_blocks(scope):
    with pytest.raises(ValidationError):
        TrainingConfig(scope=scope)


def test_a_teacher_must_be_sharper_than_its_student():
    with pytest.raises(ValidationError, match="teacher_temperature"):
        TrainingConfig(alignment="dino", teacher_temperature=0.1)
    assert TrainingConfig(alignment="moco", teacher_temperature=0.1)


def test_a_batch_is_shared_in_pairs():
    check_run(SHORT, "cpu", processes=4)
    with pytest.raises(UnfitRun, match="multiple of 10"):
        check_run(SHORT, "cpu", processes=5)


def test_half_precision_ends_at_the_network():
    torch.manual_seed(0)
    net, images = ResidualNet((8, 16, 16, 32), (0, 1, 0, 0)).eval(), torch.rand(4, 3, 32, 32)
    shape = Preprocessing(32, 32)
    exact = Precision(TrainingConfig(), "cpu", shape).describe(net, images)
    mixed = Precision(TrainingConfig(precision="mixed"), "cpu", shape).describe(net, images)
    assert exact.dtype == mixed.dtype == torch.float32
    error = float((exact - mixed).detach().abs().max())
    assert 0 < error < 0.02
    assert torch.allclose(exact, net.learnt((images - 0.5) / 0.25).pooled, atol=1e-6)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({"widths": [8, 16], "blocks": [1]}, "2 widths but 1 numbers of blocks"),
        ({"widths": [8], "blocks": [1]}, "at least 2"),
        ({"widths": [8, 0, 16, 32]}, "greater than or equal to 1"),
        ({"blocks": [1, -1, 1, 1]}, "greater than or equal to 0"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(recipe, says):
    with pytest.raises(ValidationError, match=says):
        TrainingConfig.model_validate(recipe)
