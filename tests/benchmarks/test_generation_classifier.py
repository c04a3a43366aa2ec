"""A classifier from few real and many synthetic pictures."""

from dataclasses import replace

import classifier
import pytest
import torch
from classifier import FromTimm, Held, Recipe, fit, network, predictions
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

PLAIN = Recipe(side=16, epochs=4, warmup=1, batch=16, rate=0.02, mixed=0.0, strong=False)


def pictures(each, seed, classes=3):
    """Of each class a colour of its own, in noise."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(each)
    noise = torch.randint(0, 120, (len(labels), 3, 16, 16), generator=draw)
    noise[torch.arange(len(labels)), labels] += 130
    return Held(noise.to(torch.uint8), labels)


def test_both_kinds_are_seen_as_often_and_real_pictures_alone_once():
    real, made = pictures(2, 0), pictures(7, 1)
    rows = classifier._rows(real, made)
    assert (rows[:, 0] == 1).sum() == 21
    assert (rows[:, 0] == 0).sum() == 18  # three times two a class
    assert torch.bincount(rows[rows[:, 0] == 0, 1]).tolist() == [3] * 6
    assert classifier._rows(real, None).tolist() == [[0, row] for row in range(6)]


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_the_loss_weighs_the_means_of_both_kinds(weight):
    torch.manual_seed(0)
    real, made = pictures(2, 0), pictures(6, 1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3))
    rows = classifier._rows(real, made)[:30]

    def view(image):
        return image.float() / 255

    recipe = replace(PLAIN, real=weight)
    found = classifier._loss(model, real, made, rows, view, nn.Identity(), recipe)
    losses = []
    for kind, source in enumerate((real, made)):
        own = rows[rows[:, 0] == kind, 1]
        logits = model(view(source.images[own]))
        losses.append(functional.cross_entropy(logits, source.labels[own]))
    assert losses[0] != losses[1]
    assert found.item() == pytest.approx((weight * losses[0] + (1 - weight) * losses[1]).item())
    alone = classifier._loss(model, real, None, rows[rows[:, 0] == 0], view, nn.Identity(), recipe)
    assert alone.item() == pytest.approx(losses[0].item(), rel=1e-5)


def test_mixes_stay_within_a_kind():
    real = Held(torch.zeros(8, 3, 16, 16, dtype=torch.uint8), torch.arange(8) % 2)
    made = Held(torch.full((8, 3, 16, 16), 255, dtype=torch.uint8), torch.arange(8) % 2)
    seen = []

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, images):
            seen.append(images.detach())
            return self.layer(images.mean(dim=(2, 3)))

    recipe = replace(PLAIN, mixed=1.0, epochs=1)
    fit(Model().train(), real, made, real, recipe, 0)
    for images in seen[:-1]:
        assert set(images.unique().tolist()) <= {0.0, 1.0}


def test_the_epoch_is_chosen_on_validation_and_its_weights_stay():
    torch.manual_seed(0)
    real, made, other = pictures(2, 0), pictures(8, 1), pictures(6, 2)
    model = network(3)
    found = fit(model, real, made, other, PLAIN, 0)
    assert found.accuracy == max(found.validation)
    assert found.epoch == found.validation.index(found.accuracy)
    right = (predictions(model, other, PLAIN) == other.labels).float().mean()
    assert float(right) == pytest.approx(found.accuracy, abs=1e-4)
    assert found.accuracy > 0.8
    assert not model.training


def test_an_early_epoch_that_was_better_is_gone_back_to():
    real, other = pictures(2, 0), pictures(4, 2)

    class Worse(nn.Module):
        """Right in its first epoch; every step moves its bias towards the first class."""

        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(3))
            self.register_buffer("steps", torch.zeros(()))

        def forward(self, images):
            if self.training:
                self.steps += 1
            wrong = self.steps > 1
            own = images.mean(dim=(2, 3)) * (0 if wrong else 10)
            return own + self.bias

    model = Worse()
    found = fit(model, real, None, other, replace(PLAIN, epochs=3), 0)
    assert found.validation[0] == 1
    assert found.validation[-1] < 0.5
    assert found.epoch == 0
    assert (predictions(model, other, PLAIN) == other.labels).all()


def test_strong_views_differ_each_time_and_keep_their_range():
    view = classifier.training_views(Recipe(side=16))
    image = pictures(1, 0).picture(0)
    torch.manual_seed(0)
    views = [view(image) for _ in range(12)]
    assert all(each.shape == (3, 16, 16) for each in views)
    assert all(0 <= each.min() <= each.max() <= 1 for each in views)
    assert len({each.sum().item() for each in views}) > 6


def test_published_weights_of_a_timm_network_are_taken_but_for_the_head(tmp_path):
    torch.manual_seed(0)
    known = FromTimm("test_resnet", 7)
    save_file(known.net.state_dict(), tmp_path / "weights.safetensors")
    own = FromTimm("test_resnet", 3, tmp_path / "weights.safetensors")
    names = dict(known.net.named_parameters())
    same = {name: torch.equal(each, names[name]) for name, each in own.net.named_parameters()
            if each.shape == names[name].shape}  # fmt: skip
    assert all(same.values())
    assert own(torch.rand(2, 3, 64, 64)).shape == (2, 3)
    save_file({"stem.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="is not of test_resnet"):
        FromTimm("test_resnet", 3, tmp_path / "other.safetensors")


def test_the_rate_rises_and_falls_as_published():
    recipe = Recipe(rate=1e-3, epochs=10, warmup=3)
    rates = [recipe.rate_at(step, 10) for step in (0, 29, 30, 65, 99)]
    assert rates[0] == 1e-8
    assert rates[1] == pytest.approx(1e-3)
    assert rates[2] == pytest.approx(1e-3)
    assert rates[3] == pytest.approx(5e-4, rel=1e-3)
    assert rates[4] < 1e-5
