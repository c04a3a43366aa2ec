"""Two gloo processes under torchrun take the very gradients of one process."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from attribution.training import distributed
from attribution.training.losses.contrast import contrastive, multi_positive
from attribution.training.losses.information import ica, koleo, log_determinant
from attribution.training.objective.infomax import LogDeterminant
from attribution.training.objective.moco import KeyQueue
from tests.support.torchrun import on_two_processes

BATCH, SIDE = 12, 6


class Network(nn.Module):
    """Convolutions with batch norm, a projector with batch norm, an unmixing matrix."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 5, 3),
            nn.BatchNorm2d(5),
            nn.ReLU(inplace=True),
            nn.Conv2d(5, 6, 3, bias=False),
            nn.BatchNorm2d(6, momentum=None),
            nn.Flatten(),
            nn.Linear(24, 4),
        )
        self.projector = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 5))
        self.unmixing = nn.Parameter(torch.eye(4))

    def forward(self, views):
        return nn.functional.normalize(self.backbone(views), dim=1)


def network():
    torch.manual_seed(0)
    return Network().double()


def views_of(step):
    generator = torch.Generator().manual_seed(step)
    images = torch.rand(BATCH, 3, SIDE, SIDE, generator=generator, dtype=torch.float64)
    other = images + 0.1 * torch.rand(images.shape, generator=generator, dtype=torch.float64)
    return images, other


def loss_of(net, mild, strong, recent):
    """Terms across rows of all processes, and one over the rows of this process alone."""
    features = net(torch.cat([mild, strong]))
    projected = nn.functional.normalize(net.projector(features), dim=1)
    n = len(mild)
    first, second = (distributed.gather(part) for part in projected.split(n))
    pooled = torch.cat([distributed.gather(part) for part in features.split(n)])
    pairs = torch.arange(len(first))
    both = torch.stack([pairs, pairs.roll(1)], dim=1)
    joined, _ = recent.join(pooled)
    total = contrastive(first, second, pairs, temperature=0.2, decoupled=True)
    total = total + multi_positive(second, first, both, temperature=0.2)
    total = total + log_determinant(joined) + ica(joined, net.unmixing)
    total = total + koleo(pooled[: len(pairs)])
    return total + projected[:n].exp().mean()


def train(net, steps=3):
    """Gradients of every step, and the state after them."""
    recent, gradients = LogDeterminant(2), []
    queue = KeyQueue(7, 5)
    for step in range(steps):
        mild, strong = (distributed.share(part) for part in views_of(step))
        net.zero_grad()
        loss_of(net, mild, strong, recent).backward()
        distributed.average_gradients(net.parameters())
        gradients.append({name: p.grad.clone() for name, p in net.named_parameters()})
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.sub_(0.1 * parameter.grad)
        queue.push(distributed.gather(net.projector(net(mild))))
    penalty = second_order(net, *views_of(99))
    return {
        "gradients": gradients,
        "state": net.state_dict(),
        "recent": recent.remembered(),
        "queue": queue.rows,
        "penalty": penalty,
        "centre": distributed.average(distributed.share(views_of(5)[0]).mean(dim=(0, 2, 3))),
    }


def second_order(net, mild, strong):
    """Parameter gradients of a penalty on the gradient of images, through `gather` twice."""
    net.zero_grad()
    images = distributed.share(mild).requires_grad_()
    rows = distributed.gather(net(images))
    score = (rows @ rows.T).exp().sum()
    # `gather` differentiates the sum of the processes' losses, each the score of the batch.
    [slope] = torch.autograd.grad(score / distributed.world_size(), images, create_graph=True)
    # A sum over images of this process: the mean over processes needs their number.
    (slope.square().sum() * distributed.world_size()).backward()
    used = list(net.backbone.parameters())
    distributed.average_gradients(used)
    return [p.grad.clone() for p in used if p.grad is not None]


def main(folder):
    assert distributed.world_size() == 1
    with distributed.process_group("cpu") as device:
        assert device == "cpu"
        net = network()
        distributed.share_batch_norm(net)
        torch.manual_seed(1)
        torch.save(train(net), folder / f"{distributed.rank()}-of-{distributed.world_size()}.pt")
    assert distributed.world_size() == 1


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What one process computes, and each of two."""
    folder = tmp_path_factory.mktemp("distributed")
    on_two_processes(main, folder)
    torch.manual_seed(1)
    alone = train(network())
    return alone, [torch.load(folder / f"{rank}-of-2.pt") for rank in range(2)]


def distance(a, b):
    return float((a.double() - b.double()).abs().max())


def test_gradients_of_every_parameter_are_those_of_one_process(outcomes):
    alone, several = outcomes
    for one in several:
        for wanted, got in zip(alone["gradients"], one["gradients"], strict=True):
            assert wanted.keys() == got.keys()
            assert max(distance(wanted[name], got[name]) for name in wanted) < 1e-9
    assert min(g.abs().max() for g in alone["gradients"][0].values()) > 0


def test_the_network_and_its_batch_statistics_end_as_in_one_process(outcomes):
    alone, several = outcomes
    for one in several:
        assert list(one["state"]) == list(alone["state"])
        assert max(distance(alone["state"][name], one["state"][name]) for name in one["state"]) < (
            1e-9
        )


def test_memories_and_averages_are_those_of_one_process(outcomes):
    alone, several = outcomes
    for one in several:
        assert distance(alone["queue"], one["queue"]) < 1e-6  # float32 keys
        assert distance(alone["recent"][0], one["recent"][0]) < 1e-9
        assert distance(alone["centre"], one["centre"]) < 1e-12


def test_gradients_of_gradients_are_those_of_one_process(outcomes):
    alone, several = outcomes
    scale = max(float(wanted.abs().max()) for wanted in alone["penalty"])
    assert scale > 0
    for one in several:
        pairs = zip(alone["penalty"], one["penalty"], strict=True)
        assert max(distance(wanted, got) for wanted, got in pairs) < 1e-9 * scale


def test_one_process_needs_no_group():
    rows = torch.rand(4, 3, requires_grad=True)
    assert distributed.gather(rows) is rows
    assert torch.equal(distributed.share(rows), rows)
    assert distributed.average(rows) is rows
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    with distributed.process_group("cpu") as device:
        assert device == "cpu"
        net = network()
        before = deepcopy(net.state_dict())
        distributed.share_batch_norm(net)
        assert type(net.backbone[1]) is nn.BatchNorm2d
        assert net.state_dict().keys() == before.keys()


def test_a_batch_that_cannot_be_shared_evenly_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    with pytest.raises(ValueError, match="multiple of their number"):
        distributed.share(torch.zeros(4, 2))
