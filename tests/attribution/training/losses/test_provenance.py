"""The provenance losses against loops over places and finite differences, on any input."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from attribution.training.losses.provenance import (
    attribution_scores,
    editing_penalty,
    input_gradients,
    mixing_penalty,
    share_off_target,
    squared_length,
)
from attribution.training.objective.still import still_batch_norm

SHAPES = {"pixels": (3, 2, 4, 5), "skeletons": (2, 2, 2, 3, 4)}


def draw(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def masks(shape, *, soft):
    drawn = torch.rand((shape[0], 1, *shape[2:]), generator=torch.Generator().manual_seed(1))
    return drawn if soft else (drawn < 0.5).float()


def smooth_net(inputs, seed=0):
    """A network with curvature everywhere, so that its second derivatives can be checked."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), 6), nn.Tanh(), nn.Linear(6, 4))


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("over", ["sum", "mean"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_penalties_are_those_of_a_loop_over_places(shape, over, soft):
    first, second, mask = draw(shape, 2), draw(shape, 3), masks(shape, soft=soft)
    spread = mask.expand(shape)
    mixing = editing = whole = off = 0.0
    for sample in range(shape[0]):
        g, h, m = (each[sample].flatten().tolist() for each in (first, second, spread))
        mixed = [((1 - c) * a + c * b) ** 2 for a, b, c in zip(g, h, m, strict=True)]
        edited = [((1 - c) * a) ** 2 for a, c in zip(g, m, strict=True)]
        per = len(g) if over == "mean" else 1
        mixing += sum(mixed) / per / shape[0]
        editing += sum(edited) / per / shape[0]
        whole += sum(a * a for a in g) / per / shape[0]
        off = sum(edited) + sum((c * b) ** 2 for b, c in zip(h, m, strict=True))
        share = float(share_off_target(first, second, mask)[sample])
        assert share == pytest.approx(off / sum(a * a + b * b for a, b in zip(g, h, strict=True)))
    assert float(mixing_penalty(first, second, mask, over=over)) == pytest.approx(mixing)
    assert float(editing_penalty(first, mask, over=over)) == pytest.approx(editing)
    assert float(squared_length(first, over=over)) == pytest.approx(whole)


def test_a_hard_mask_adds_two_norms_up_and_a_soft_one_lets_gradients_cancel():
    shape = (2, 3, 4, 4)
    first, second, mask = draw(shape, 2), draw(shape, 3), masks(shape, soft=False)
    both = editing_penalty(first, mask) + editing_penalty(second, 1 - mask)
    assert float(mixing_penalty(first, second, mask)) == pytest.approx(float(both))
    halves = torch.full((2, 1, 1, 1), 0.5)
    assert float(mixing_penalty(first, -first, halves)) == 0
    assert float(share_off_target(first, -first, halves)[0]) == pytest.approx(0.25)


def test_scores_have_the_value_of_a_cosine_and_the_gradient_of_an_inner_product():
    rows, sources = draw((4, 5)).requires_grad_(), draw((4, 5), 1)
    sources = functional.normalize(sources, dim=1).requires_grad_()
    scores = attribution_scores(rows, sources)
    for row in range(4):
        z, a = rows[row].tolist(), sources[row].tolist()
        length = sum(value * value for value in z) ** 0.5
        cosine = sum(x * y for x, y in zip(z, a, strict=True)) / length
        assert float(scores[row].detach()) == pytest.approx(cosine)
    scores.sum().backward()
    assert torch.allclose(rows.grad, sources / rows.norm(dim=1, keepdim=True))
    assert sources.grad is None


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_gradients_and_what_they_teach_are_those_of_finite_differences(shape):
    inputs, mask = draw(shape), masks(shape, soft=True).double()
    net = smooth_net(inputs).double()
    sources = functional.normalize(draw((shape[0], 4), 7), dim=1)

    def score(x):
        rows = net(x)
        return attribution_scores(rows, sources), attribution_scores(rows, sources.flip(0))

    def inner(x, target):
        """The score with the length that it has at `inputs`: what is detached stands still."""
        return (net(x) * target).sum(dim=1) / net(inputs).detach().norm(dim=1)

    found = input_gradients(score, inputs)
    step = 1e-5
    for gradient, target in zip(found, (sources, sources.flip(0)), strict=True):
        for place in range(0, inputs[0].numel(), 7):
            shift = torch.zeros_like(inputs).flatten(1)
            shift[:, place] = step
            shift = shift.view(shape)
            slope = (inner(inputs + shift, target) - inner(inputs - shift, target)) / (2 * step)
            assert torch.allclose(gradient.flatten(1)[:, place], slope, atol=1e-8)

    weight = net[1].weight
    frozen = net(inputs).detach().norm(dim=1)

    def penalty():
        """The loss by the definition; lengths detached, as the gradient sees them."""
        scores = lambda x: tuple(  # noqa: E731
            (net(x) * each).sum(dim=1) / frozen for each in (sources, sources.flip(0))
        )
        return mixing_penalty(*input_gradients(scores, inputs), mask)

    [taught] = torch.autograd.grad(mixing_penalty(*input_gradients(score, inputs), mask), [weight])
    for row, column in ((0, 0), (2, 5), (5, 11)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[row, column] += sign * step
            values.append(float(penalty().detach()))
            with torch.no_grad():
                weight[row, column] -= sign * step
        slope = (values[0] - values[1]) / (2 * step)
        assert float(taught[row, column]) == pytest.approx(slope, rel=1e-4, abs=1e-9)


def test_a_cosine_cannot_have_a_zero_gradient_off_its_region_and_the_score_can():
    """A network that adds up two halves of its input, each with columns of its own."""
    inputs = torch.rand(1, 4, dtype=torch.float64) + 0.5
    source = torch.tensor([[1.0, 0.0]], dtype=torch.float64)

    def rows(x):
        return torch.stack([x[:, :2].sum(dim=1), x[:, 2:].sum(dim=1)], dim=1)

    [own] = input_gradients(lambda x: (attribution_scores(rows(x), source),), inputs)
    assert torch.equal(own[:, 2:], torch.zeros(1, 2, dtype=torch.float64))
    [cosine] = input_gradients(
        lambda x: ((functional.normalize(rows(x), dim=1) * source).sum(dim=1),), inputs
    )
    assert (cosine[:, 2:].abs() > 0.1).all()


def test_autocast_changes_nothing():
    inputs, net = torch.rand(3, 2, 4, 5), smooth_net(torch.rand(3, 2, 4, 5))

    def score(x):
        return (net(x)[:, 0],)

    [exact] = input_gradients(score, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(inputs).dtype == torch.bfloat16
        [inside] = input_gradients(score, inputs)
        [half] = input_gradients(score, inputs.bfloat16().float())
    assert torch.equal(inside, exact)
    assert not torch.equal(half, exact)
    assert inside.dtype == torch.float32
    with torch.no_grad():
        [anyhow] = input_gradients(score, inputs)
    assert torch.equal(anyhow, exact)


def test_batch_norm_that_stands_still_lets_nothing_through_between_samples():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten())
    inputs = torch.rand(4, 3, 6, 6)
    changed = inputs.clone()
    changed[1:] = torch.rand(3, 3, 6, 6)

    def gradient(x):
        return input_gradients(lambda leaves: (net(leaves)[:, :7].sum(dim=1),), x)[0][0]

    assert not torch.allclose(gradient(inputs), gradient(changed), atol=1e-4)
    before = net[1].running_mean.clone()
    with still_batch_norm(net):
        assert torch.equal(gradient(inputs), gradient(changed))
        assert net.training
    assert torch.equal(net[1].running_mean, before)
    assert net[1].training
    net[1].eval()
    with still_batch_norm(net):
        pass
    assert not net[1].training
