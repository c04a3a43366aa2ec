"""Knobs over the steps of a run follow the stated curves."""

import math

import pytest

from attribution.training.recipe.config import ResolutionStage, TrainingConfig
from attribution.training.recipe.schedule import (
    learning_rate,
    teacher_momentum,
    teacher_temperature,
)

SHORT = TrainingConfig(
    stages=(ResolutionStage(size=32, steps=4), ResolutionStage(size=48, steps=3)), warmup=2
)
HUNDRED = TrainingConfig(teacher_momentum=0.99, stages=(ResolutionStage(size=32, steps=100),))


def test_momentum_rises_along_half_a_cosine():
    values = [teacher_momentum(HUNDRED, step) for step in range(101)]
    assert values[0] == pytest.approx(0.99)
    assert values[50] == pytest.approx(0.995)
    assert values[100] == 1.0
    assert values == sorted(values)
    assert values[25] == pytest.approx(1 - 0.01 * math.cos(math.pi / 8) ** 2)
    assert teacher_momentum(HUNDRED, 120) == 1.0


def test_the_learning_rate_warms_up_and_falls():
    rates = [learning_rate(SHORT, step) for step in range(SHORT.steps)]
    assert rates[0] == pytest.approx(SHORT.learning_rate / 2)
    assert max(rates) == pytest.approx(SHORT.learning_rate)
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_the_teacher_warms_up_and_comes_to_rest():
    recipe = SHORT.model_copy(update={"teacher_temperature_warmup": 4, "teacher_momentum": 0.9})
    warmth = [teacher_temperature(recipe, step) for step in range(6)]
    assert warmth == pytest.approx([0.04, 0.0475, 0.055, 0.0625, 0.07, 0.07])
    assert teacher_momentum(recipe, 0) == pytest.approx(0.9)
    assert teacher_momentum(recipe, recipe.steps) == 1.0
