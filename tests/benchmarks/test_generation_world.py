"""The drawn world, its few-shot sets, and what is measured of pictures of it."""

import few_shot
import numpy as np
import pixels
import pytest
import resumable
import torch
import world
from resumable import Pace
from scipy.linalg import sqrtm
from torch import nn

from attribution.synthesis.context.independence import independence
from attribution.synthesis.context.naming import without_classes


def test_classes_share_outlines_and_marks_and_the_base_knows_none_of_them():
    outlines, marks = np.divmod(world.CLASSES, len(world.MARKS))
    assert np.bincount(outlines, minlength=6).tolist() == [2, 2, 2, 2, 2, 0]
    assert np.bincount(marks).tolist() == [2] * 5
    assert not set(world.CLASSES) & set(world.OTHERS)
    known = np.divmod(world.OTHERS, len(world.MARKS))
    assert [len(set(each)) for each in known] == [6, 5]  # every outline and every mark


def test_what_a_picture_shows_is_what_is_said_of_it():
    things = world.balanced()
    assert len(things) == 10 * 12 * 8
    assert {tuple(row) for row in zip(things.labels, things.textures, things.poses, strict=True)}
    few = world.Things(*(each[::5] for each in (things.kinds, things.textures, things.poses)))
    first = world.render(few, np.random.default_rng(1)).astype(int)
    assert np.array_equal(first, world.render(few, np.random.default_rng(1)))
    second = world.render(few, np.random.default_rng(2))
    assert (np.abs(first - second).mean(axis=(1, 2, 3)) > 5).all()
    # The corners show the colour of the background, the brightest part the size of the thing.
    corner = np.median(first[:, [0, 0, -1, -1], [0, -1, 0, -1]], axis=1)
    for name, (red, green, blue) in {
        "red": (1, 0, 0),
        "green": (0, 1, 0),
        "blue": (0, 0, 1),
    }.items():
        own = [world.TEXTURES[place].endswith(name) for place in few.textures]
        strongest = corner[own].argmax(axis=1)
        assert (strongest == (red, green, blue).index(1)).mean() > 0.9
    light = (first.max(axis=3) > 225).mean(axis=(1, 2))
    large = few.poses >= 4
    assert light[large].mean() > 1.7 * light[~large].mean()
    assert few.contexts[0].pose in world.POSES


def test_noise_in_captions_is_as_large_as_asked():
    rng = np.random.default_rng(0)
    exact = world.uncorrelated(400, world.CLASSES, rng).contexts
    heard = world.misheard(exact, 0.3, rng)
    for part in ("background", "pose"):
        wrong = [getattr(a, part) != getattr(b, part) for a, b in zip(exact, heard, strict=True)]
        assert 0.2 < np.mean(wrong) < 0.4
    assert world.misheard(exact, 0, rng) == exact


def test_a_few_shot_set_is_confounded_and_names_no_class_in_its_contexts():
    few, things = few_shot.confounded(3, 5, 0.9)
    assert few.labels.tolist() == [label for label in range(10) for _ in range(5)]
    assert few.labels.tolist() == things.labels.tolist()
    labels = few.labels.tolist()
    assert independence(labels, things.textures.tolist()).p_value == 0.001
    assert independence(labels, things.poses.tolist()).p_value == 0.001
    free = world.uncorrelated(50, world.CLASSES, np.random.default_rng(0))
    assert independence(labels, free.textures.tolist()).p_value > 0.01
    assert without_classes(few.bank.described)[1].words == {}
    assert len(few.bank.listed) == 100
    unknown = {each.background for each in few.bank.listed} - set(world.TEXTURES[: world.WORLD])
    assert len(unknown) == 4
    again, _ = few_shot.confounded(3, 5, 0.9)
    assert again.bank == few.bank
    noisy, _ = few_shot.confounded(3, 5, 0.9, noise=0.5)
    assert noisy.bank != few.bank
    name = few.bank.described[7].image
    assert noisy.pictures[name].tobytes() == few.pictures[name].tobytes()
    assert few_shot.confounded(4, 5, 0.9)[0].bank != few.bank


def test_the_distance_is_that_of_two_gaussians():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(60, 5)), rng.normal(1, 2, size=(80, 5))
    one, two = np.cov(first.T), np.cov(second.T)
    slow = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(
        one + two - 2 * sqrtm(one @ two).real
    )
    assert pixels.frechet(first, second) == pytest.approx(slow)
    assert pixels.frechet(first, first) == pytest.approx(0, abs=1e-9)


def test_recall_is_low_where_part_of_the_real_is_never_made():
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(0, 1, (50, 3)), rng.normal(20, 1, (50, 3))])
    half = rng.normal(0, 1, (60, 3))
    assert 0.4 < pixels.covered(real, half) <= 0.5
    assert pixels.covered(half, real) > 0.9  # precision
    assert pixels.covered(real, real) == 1


def test_figures_are_of_each_class_and_none_of_one_that_was_hardly_made():
    rng = np.random.default_rng(0)
    labels = np.arange(3).repeat(20)
    embeddings = rng.normal(size=(60, 4)) + 20 * labels[:, None]
    real = pixels.Seen(labels, labels, labels, embeddings)
    rows = np.concatenate([np.arange(30), np.arange(40, 43)])
    seen = labels[rows].copy()
    seen[:5] = 1
    made = pixels.Seen(seen, seen, seen, embeddings[rows])
    found = pixels.by_class(real, labels, made, labels[rows])
    assert found["faithful"][:2] == [0.75, 1.0]
    assert found["recall"][0] == found["precision"][1] == 1
    assert found["frechet"][0] == 0 < found["frechet"][1]
    assert all(np.isnan(values[2]) for values in found.values())


def regression(module):
    inputs = torch.randn(64, 3, generator=torch.Generator().manual_seed(5))
    targets = inputs.sum(dim=1, keepdim=True)

    def loss(step):
        rows = torch.randint(64, (8,), generator=torch.Generator().manual_seed(step))
        return (module(inputs[rows]) - targets[rows]).square().mean()

    return loss


def test_a_training_that_is_stopped_goes_on_to_the_same_weights(tmp_path):
    pace = Pace(steps=30, batch=8, rate=0.1, warmup=5, memory=0.9, keep_every=10)

    def fresh():
        torch.manual_seed(0)
        return nn.Linear(3, 1)

    whole = fresh()
    own = regression(whole)
    before = float(own(0).detach())
    resumable.train(whole, own, pace, tmp_path / "whole.pt", "whole")
    assert float(own(0).detach()) < 0.1 * before
    assert not whole.training

    class Stopped(Exception):
        pass

    stopped, steps = fresh(), []

    def until(step):
        steps.append(step)
        if step == 17:
            raise Stopped
        return regression(stopped)(step)

    with pytest.raises(Stopped):
        resumable.train(stopped, until, pace, tmp_path / "part.pt", "part")
    again = fresh()
    taken = []
    loss = regression(again)
    resumable.train(
        again, lambda step: taken.append(step) or loss(step), pace, tmp_path / "part.pt", "part"
    )
    assert taken == list(range(10, 30))
    assert torch.equal(again.weight, whole.weight)
    other = Pace(steps=31, batch=8, rate=0.1)
    with pytest.raises(resumable.OtherRun, match="remove it"):
        resumable.train(fresh(), loss, other, tmp_path / "part.pt", "part")


def test_the_judge_finds_textures_after_a_few_steps(tmp_path):
    pace = Pace(steps=20, batch=16, rate=1e-2, warmup=3, memory=0.7, keep_every=20)
    judge = pixels.train_judge(pace, tmp_path / "judge.pt", pictures=160)
    things = world.uncorrelated(100, world.CLASSES, np.random.default_rng(9), len(world.TEXTURES))
    images = torch.from_numpy(world.render(things, np.random.default_rng(9))).permute(0, 3, 1, 2)
    seen = pixels.look(judge, images)
    assert (seen.textures == things.textures).mean() > 0.15  # by chance 0.06
    assert seen.embeddings.shape == (100, 24)
