"""What holds of the diffusion path without its extra."""

import pytest

from attribution.synthesis.diffusion import networks
from attribution.synthesis.diffusion.recipe import TuningRecipe
from attribution.synthesis.diffusion.tuning import Cost


def test_the_rate_rises_and_falls_as_published():
    recipe = TuningRecipe()
    assert (recipe.rank, recipe.batch, recipe.epochs, recipe.size) == (16, 8, 400, 512)
    assert recipe.steps(500) == 25_200
    rates = [recipe.rate(step, 1100) for step in (0, 50, 100, 600, 1100)]
    assert rates == pytest.approx([0, 5e-5, 1e-4, 5e-5, 0])
    assert [recipe.rate(step, 50) for step in (0, 5)] == pytest.approx([0, 1e-4]), "a short run"


def test_the_cost_says_when_a_gpu_is_wanted():
    assert str(Cost(25_200, 3_600 * 280, int(14.2e9), "cpu")) == (
        "25,200 steps: about 280.0 hours and 14.2 GB on this CPU; use a GPU (--device cuda)"
    )
    assert str(Cost(10, 90, int(2e9), "cuda")) == "10 steps: about 2 minutes and 2.0 GB"


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"attribution\[generation\]"):
        networks.load_networks(tmp_path)
