"""The provenance term of a step: which masks guide it, whose rows it compares, what it teaches."""

import pytest
import torch
from torch import nn

from attribution.synthesis.composites.composite import Composites
from attribution.training.losses.provenance import (
    attribution_scores,
    input_gradients,
    share_off_target,
)
from attribution.training.objective.guidance import Guidance, Guided, make_guidance
from attribution.training.recipe.config import TrainingConfig

IMAGES = torch.rand(12, 3, 40, 40, generator=torch.Generator().manual_seed(3))


def drawn(mask, seed=0):
    config = TrainingConfig(provenance_weight=1.0, provenance_mask=mask)
    guidance = make_guidance(config)
    return guidance, guidance.draw(IMAGES, 32, torch.Generator().manual_seed(seed))


def test_without_a_weight_there_is_none():
    assert make_guidance(TrainingConfig()) is None


def test_composites_are_the_same_whatever_guides_them():
    made = {mask: drawn(mask)[1] for mask in ("true", "random", "full")}
    for each in made.values():
        assert torch.equal(each.composites.images, made["true"].composites.images)
        assert torch.equal(each.composites.masks, made["true"].composites.masks)
        assert each.composites.sources.tolist() == [[row, row + 6] for row in range(6)]
    assert torch.equal(made["true"].masks, made["true"].composites.masks)
    assert torch.equal(made["random"].masks, made["true"].masks.roll(1, dims=0))
    assert not torch.equal(drawn("true", 1)[1].masks, made["true"].masks)


@pytest.mark.parametrize("mask", ["true", "random", "full"])
def test_the_term_is_that_of_gradients_taken_one_by_one(mask):
    guidance, guided = drawn(mask)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.BatchNorm2d(5), nn.Tanh(), nn.Flatten())
    net(IMAGES[:, :, :32, :32])
    sources = nn.functional.normalize(torch.randn(12, 5 * 64), dim=1)
    term = guidance(net, net, guided, sources)
    assert net[1].training
    net.eval()
    penalty = share = 0.0
    for row in range(6):
        pixels = guided.composites.images[row : row + 1]
        gradients = [
            input_gradients(
                lambda x, own=own: (attribution_scores(net(x), sources[own : own + 1]),), pixels
            )[0].detach()
            for own in (row, row + 6)
        ]
        m = 1 - guided.masks[row], guided.masks[row]
        if mask == "full":
            penalty += sum(float(each.square().sum()) for each in gradients) / 6
        else:
            mixed = m[0] * gradients[0] + m[1] * gradients[1]
            penalty += float(mixed.square().sum()) / 6
        share += float(share_off_target(*gradients, guided.composites.masks[row])) / 6
    assert float(term.penalty.detach()) == pytest.approx(penalty, rel=1e-4)
    assert term.off_target == pytest.approx(share, rel=1e-4)


def test_the_true_mask_draws_the_gradient_to_its_target_and_a_random_one_does_not():
    """Six composites of 8 pixels, found by a small network: what the term is for."""
    images, ended = IMAGES[..., :16, :16], {}
    for mask in ("true", "random", "full"):
        guidance = Guidance(TrainingConfig(provenance_weight=1.0, provenance_mask=mask))
        guided = guidance.draw(images, 8, torch.Generator().manual_seed(0))
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.Tanh(), nn.Linear(32, 8))
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        sources = nn.functional.normalize(torch.randn(12, 8), dim=1)
        shares = []
        for _ in range(150):
            term = guidance(net, net, guided, sources)
            rows = net(guided.composites.images)
            found = [
                nn.functional.cosine_similarity(rows, sources[each]).mean()
                for each in guided.composites.sources.unbind(dim=1)
            ]
            optimizer.zero_grad()
            (3 * term.penalty - sum(found)).backward()
            optimizer.step()
            shares.append(term.off_target)
        ended[mask] = shares[-1] / shares[0]
    assert ended["true"] < 0.5
    assert min(ended["random"], ended["full"]) > 0.65


def test_edits_and_soft_masks_fit_the_same_term():
    guidance = Guidance(TrainingConfig(provenance_weight=1.0))
    images, half = IMAGES[:2], torch.full((2, 1, 40, 40), 0.5)
    composites = Composites(images, half, torch.tensor([[0, 1], [1, 0]]))
    sources = nn.functional.normalize(torch.randn(2, 4800), dim=1)
    term = guidance(nn.Identity(), lambda x: x.flatten(1), Guided(composites, half), sources)
    lengths = images.flatten(1).norm(dim=1)
    both = (sources.sum(dim=0) / 2 / lengths[:, None]).square().sum(dim=1).mean()
    assert float(term.penalty.detach()) == pytest.approx(float(both), rel=1e-4)
