"""Recipes of several phases, and those that ship."""

import pytest

from attribution.training.recipe.config import ResolutionStage, TrainingConfig
from attribution.training.recipe.head_recipe import HeadRecipe
from attribution.training.recipe.recipes import (
    SHIPPED,
    BadRecipe,
    Recipe,
    read_head_recipe,
    read_recipe,
    shipped,
)


def test_the_papers_recipe_aligns_and_then_spreads_the_rows_that_are_searched():
    recipe = read_recipe(shipped("paper"))
    first, second = recipe.phases.items()
    assert (first[0], second[0], recipe.head) == ("alignment", "disentanglement", "none")
    assert (first[1].disentanglement, second[1].disentanglement) == ("none", "logdet")
    assert second[1].projector == "none"
    assert {phase.alignment for phase in recipe.phases.values()} == {"moco"}
    assert {phase.views for phase in recipe.phases.values()} == {"plain"}
    short = recipe.scaled(30)
    assert [phase.steps for phase in short.phases.values()] == [20, 10]
    assert set(recipe.as_told()["phases"]) == {"alignment", "disentanglement"}


def test_the_bundled_recipe_means_what_it_did():
    stages = [(48, 1500), (64, 600), (96, 150)]
    recipe = read_recipe(shipped("bundled"))
    assert recipe.phases == {
        "": TrainingConfig(
            learning_rate=0.0015,
            disentanglement="logdet",
            stages=tuple(ResolutionStage(size=size, steps=steps) for size, steps in stages),
        )
    }
    assert recipe.as_told() == recipe.first.model_dump(mode="json")


def test_the_head_recipe_states_the_defaults():
    assert read_head_recipe(shipped("head")) == HeadRecipe()
    assert {path.stem for path in SHIPPED.iterdir()} == {"paper", "bundled", "head"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("phases: {}", "phases: "),
        ("phases: [1]", "phases are fields of a run by name"),
        ("phases: {a: {btach: 3}}", "phases.a.btach: Extra inputs"),
        ("phases: {a: {seed: 1}, b: {seed: 2}}", "seed differs between phases"),
        ("phases: {a/b: {}}", "letters, digits and hyphens"),
        ("phases: {a: 3}", "phases.a: "),
        ("btach: 3", "btach: Extra inputs"),
        ("phases: {a: {cached_views: 1}}", "phases.a: .*give scope last-N too"),
        ("local_crops: 3", "are for alignment dino"),
        ("{scope: last-1, cached_views: 1, provenance_weight: 1}", "know no pixels"),
        ("{scope: last-1, cached_views: 1}", "stages of one size"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_said_with_its_place(tmp_path, text, says):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(BadRecipe, match=rf"recipe\.yaml: .*{says}"):
        read_recipe(path)


def test_shared_fields_are_of_every_phase_and_the_widest_scope_is_what_has_learnt():
    recipe = Recipe.model_validate(
        {
            "shared": {"batch": 32, "scope": "last-2"},
            "phases": {"one": None, "two": {"scope": "last-10"}},
        }
    )
    assert [phase.batch for phase in recipe.phases.values()] == [32, 32]
    assert recipe.widest_scope == "last-10"
