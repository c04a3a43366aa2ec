"""A run learns, resumes exactly, refuses another recipe and says when it collapses."""

import pytest
import torch

from attribution.training.config import BadRecipe, ResolutionStage, TrainingConfig, read_config
from attribution.training.images import ImageSet, NoImages
from attribution.training.trainer import ForeignRun, Trainer, TrainingCollapsed, learning_rate

TINY = TrainingConfig(
    widths=(8, 16, 16, 32),
    blocks=(0, 1, 0, 0),
    image_side=48,
    batch=16,
    stages=(ResolutionStage(size=32, steps=4), ResolutionStage(size=48, steps=3)),
    warmup=2,
    projection=16,
    logdet_batches=3,
    checkpoint_every=1,
)


def image_set(n=40):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(n, 3, 6, 6, generator=generator)
    pixels = torch.nn.functional.interpolate(coarse, size=48, mode="bilinear").clamp(0, 1)
    return ImageSet((pixels * 255).to(torch.uint8), tuple(f"{i:03d}" for i in range(n)))


def parameters(net):
    return torch.cat([value.flatten().float() for value in net.state_dict().values()])


class Killed(BaseException):
    """Stands for the end of the process between two steps."""


def test_a_run_killed_at_any_step_and_resumed_ends_with_equal_weights(tmp_path):
    whole = Trainer(TINY, image_set(), tmp_path / "whole").run()
    for last in (1, 4, 6):
        folder = tmp_path / f"killed-{last}"

        def kill(report, last=last):
            if report.step == last + 1:
                raise Killed

        with pytest.raises(Killed):
            Trainer(TINY, image_set(), folder).run(kill)
        resumed = Trainer(TINY, image_set(), folder)
        assert resumed.step == last
        assert torch.equal(parameters(resumed.run()), parameters(whole))


def test_views_of_an_image_come_together(tmp_path):
    update = {"stages": (ResolutionStage(size=32, steps=120),), "checkpoint_every": 1000}
    terms = []
    trainer = Trainer(TINY.model_copy(update=update), image_set(), tmp_path)
    trainer.run(lambda report: terms.append(report.terms))
    losses = [term["semantics"] for term in terms]
    assert sum(losses[-20:]) < 0.85 * sum(losses[:20])


def test_another_recipe_in_the_same_folder_is_refused(tmp_path):
    Trainer(TINY, image_set(), tmp_path).run()
    with pytest.raises(ForeignRun, match="another recipe"):
        Trainer(TINY.model_copy(update={"seed": 1}), image_set(), tmp_path)


def test_a_run_on_other_images_is_refused(tmp_path):
    Trainer(TINY, image_set(40), tmp_path).run()
    with pytest.raises(ForeignRun, match="other images"):
        Trainer(TINY, image_set(39), tmp_path)


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(NoImages, match="fewer than a batch"):
        Trainer(TINY, image_set(10), tmp_path)


def test_collapse_is_said(tmp_path):
    trainer = Trainer(TINY, image_set(), tmp_path)
    trainer.step = 5
    with pytest.raises(TrainingCollapsed, match="effective rank"):
        trainer._refuse_collapse(1.0, 1.2)
    with pytest.raises(TrainingCollapsed, match="nan"):
        trainer._refuse_collapse(float("nan"), None)


def test_the_learning_rate_warms_up_and_falls():
    rates = [learning_rate(TINY, step) for step in range(TINY.steps)]
    assert rates[0] == pytest.approx(TINY.learning_rate / 2)
    assert max(rates) == pytest.approx(TINY.learning_rate)
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_recipes_are_read_from_yaml_and_refused_when_wrong(tmp_path):
    good = tmp_path / "good.yaml"
    good.write_text("seed: 3\nstages:\n  - {size: 48, steps: 10}\n")
    assert read_config(good).seed == 3
    assert read_config(good).steps == 10
    bad = tmp_path / "bad.yaml"
    bad.write_text("sede: 3\n")
    with pytest.raises(BadRecipe, match="sede"):
        read_config(bad)
    assert TINY.scaled(14).steps == 14
