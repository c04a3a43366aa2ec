"""How knobs change over the steps of a run, as pure functions of the recipe and the step."""

from __future__ import annotations

import math

from attribution.training.recipe.config import TrainingConfig


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of the peak."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def teacher_momentum(config: TrainingConfig, step: int) -> float:
    r"""From the recipe's momentum :math:`s` to 1, where the teacher stands still.

    .. math:: m = 1 - (1 - s) \, (1 + \cos(\pi \, \mathrm{step} / \mathrm{steps})) / 2

    Grill et al., NeurIPS 2020, and Caron et al., ICCV 2021: the teacher averages over ever more
    steps.
    """
    progress = min(1.0, step / config.steps)
    return 1.0 - (1.0 - config.teacher_momentum) * 0.5 * (1 + math.cos(math.pi * progress))


def teacher_temperature(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then constant (Caron et al., ICCV 2021).

    A teacher that is sharp from the start keeps early training from collapse.
    """
    if step >= config.teacher_temperature_warmup:
        return config.teacher_temperature
    progress = step / config.teacher_temperature_warmup
    start = config.teacher_temperature_start
    return start + (config.teacher_temperature - start) * progress
