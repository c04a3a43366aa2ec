"""Our losses against those of lightly, an independent implementation; skipped without it."""

import pytest
import torch

from attribution.training.losses.contrast import contrastive, momentum_contrastive
from attribution.training.losses.distillation import dino_loss, next_centre
from attribution.training.losses.information import koleo
from attribution.training.recipe.config import ResolutionStage, TrainingConfig
from attribution.training.recipe.schedule import teacher_momentum

oracle = pytest.importorskip("lightly.loss")


def unit_rows(n, d, seed):
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1)


@pytest.mark.parametrize("n", [2, 8])
@pytest.mark.parametrize("temperature", [0.07, 0.2, 0.5])
@pytest.mark.parametrize("decoupled", [False, True])
def test_contrastive_in_both_directions_is_nt_xent_and_dcl(n, temperature, decoupled):
    a, b = unit_rows(n, 6, n), unit_rows(n, 6, n + 50)
    kind = oracle.DCLLoss if decoupled else oracle.NTXentLoss
    pairs = torch.arange(n)
    itself = torch.zeros(n, 2 * n, dtype=torch.bool)
    itself[pairs, n + pairs] = True
    ours = [
        contrastive(
            queries, torch.cat([keys, queries]), pairs, temperature=temperature, excluded=itself,
            decoupled=decoupled,
        )
        for queries, keys in ((a, b), (b, a))
    ]  # fmt: skip
    expected = kind(temperature=temperature)(a, b)
    assert float(sum(ours)) / 2 == pytest.approx(float(expected), rel=1e-5)


def test_momentum_contrastive_is_nt_xent_with_a_memory_bank():
    queries, keys, queue = unit_rows(6, 5, 1), unit_rows(6, 5, 2), unit_rows(16, 5, 3)
    theirs = oracle.NTXentLoss(temperature=0.2, memory_bank_size=(16, 5))
    theirs.memory_bank.bank.copy_(queue)
    ours = momentum_contrastive(queries, keys, queue, temperature=0.2)
    assert float(ours) == pytest.approx(float(theirs(queries, keys)), rel=1e-5)


@pytest.mark.parametrize(("crops", "seen"), [(2, 2), (6, 2)])
def test_dino_loss_and_centre(crops, seen):
    generator = torch.Generator().manual_seed(crops)
    theirs, centre = oracle.DINOLoss(output_dim=9, teacher_temp=0.05), torch.zeros(9)
    for _ in range(3):
        student = torch.randn(crops, 4, 9, generator=generator)
        teacher = torch.randn(seen, 4, 9, generator=generator)
        ours = dino_loss(student, teacher, centre, teacher_temperature=0.05)
        expected = theirs(list(teacher), list(student))
        centre = next_centre(centre, teacher)
        assert float(ours) == pytest.approx(float(expected), rel=1e-5)
        assert torch.allclose(centre, theirs.center.flatten(), atol=1e-6)


def test_koleo():
    rows = unit_rows(30, 8, 4)
    assert float(koleo(rows)) == pytest.approx(float(oracle.KoLeoLoss()(rows)), rel=1e-5)


def test_the_momentum_schedule():
    scheduler = pytest.importorskip("lightly.utils.scheduler")
    stages = (ResolutionStage(size=32, steps=100),)
    recipe = TrainingConfig(teacher_momentum=0.99, stages=stages)
    for step in (0, 10, 55, 100):
        expected = scheduler.cosine_schedule(step, 101, 0.99, 1.0)
        assert teacher_momentum(recipe, step) == pytest.approx(expected)
