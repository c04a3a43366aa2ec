"""Each alignment against sums written out by hand; teachers, queues and centres as they should."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from attribution.training.losses.information import ica, koleo, log_determinant
from attribution.training.losses.provenance import attribution_scores
from attribution.training.objective.objective import Objective
from attribution.training.objective.pairing import Views
from attribution.training.recipe.config import TrainingConfig
from models.backbones.residual import ResidualNet
from models.images.preprocessing import Preprocessing

N, HALF, WHOLE = 16, 8, 1  # of 8 mixed views, one is a collage
TINY = TrainingConfig(
    widths=(8, 16, 16, 32),
    blocks=(0, 0, 0, 0),
    batch=N,
    projection=16,
    disentanglement="logdet",
    temperature=0.3,
    queue=20,
    prototypes=12,
    prototype_freeze=2,
    teacher_momentum=0.9,
    role_weight=0.25,
)
NAMES = ("semantics", "structure", "appearance")


def draw(n=N, half=HALF, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Views(*(torch.rand(count, 3, 32, 32, generator=generator) for count in (n, n, half)))


def make(**update):
    torch.manual_seed(0)
    config = TINY.model_copy(update=update)
    net = ResidualNet(config.widths, config.blocks)
    return net, Objective(net, config, Preprocessing(32, 32))


def describe(net, images):
    return net.learnt(images).pooled


def projected(projectors, objective, pooled, name):
    return functional.normalize(projectors[name](pooled[:, objective.columns[name]]), dim=1)


def term(positive, negatives, *, decoupled, temperature=0.3):
    """One query: minus the log share of its positive."""
    total = sum(math.exp(s / temperature) for s in negatives)
    total += 0 if decoupled else math.exp(positive / temperature)
    return math.log(total) - positive / temperature


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def expected_mixed(name, mixed, keys, further, *, decoupled):
    """Mixed view `i` finds images `i` and `i + n/2`, by its role, among all other keys."""
    cosines, rest = (mixed @ keys.T).tolist(), (mixed @ further.T).tolist()
    terms = []
    for i in range(HALF):
        sources = {"semantics": [i, i + HALF], "structure": [i], "appearance": [i + HALF]}[name]
        if name != "semantics" and i < WHOLE:
            continue
        negatives = [s for j, s in enumerate(cosines[i]) if j not in sources] + rest[i]
        terms += [term(cosines[i][j], negatives, decoupled=decoupled) for j in sources]
    return mean(terms)


@pytest.mark.parametrize("decoupled", [True, False])
def test_simclr_contrasts_the_images_of_the_batch(decoupled):
    net, objective = make(decoupled=decoupled)
    views = draw()
    loss = objective(views, net, describe, 0)
    pooled = describe(net, torch.cat([views.mild, views.strong, views.mixed])).detach()
    for name in NAMES:
        rows = projected(objective.alignment.projectors, objective, pooled, name).detach()
        mild, strong, mixed = rows[:N], rows[N : 2 * N], rows[2 * N :]
        n = HALF if name == "structure" else N
        both = torch.cat([mild[:n], strong[:n]])
        cosines = (both @ both.T).tolist()
        terms = []
        for i in range(2 * n):
            partner = (i + n) % (2 * n)
            negatives = [s for j, s in enumerate(cosines[i]) if j not in (i, partner)]
            terms.append(term(cosines[i][partner], negatives, decoupled=decoupled))
        assert loss.terms[name] == pytest.approx(mean(terms), rel=1e-4)
        nothing = torch.zeros(0, 16)
        wanted = expected_mixed(name, mixed, mild, nothing, decoupled=decoupled)
        assert loss.terms[f"{name} mixed"] == pytest.approx(wanted, rel=1e-4)


def test_the_total_weighs_the_terms():
    net, objective = make()
    loss = objective(draw(), net, describe, 0)
    weights = {"semantics": 1.0, "semantics mixed": 0.5, "logdet": 0.1}
    wanted = sum(weights.get(name, 0.25) * value for name, value in loss.terms.items())
    assert loss.total.item() == pytest.approx(wanted, rel=1e-5)
    again = objective(draw(), net, describe, 1)  # two batches remembered: twice the gradient
    weights["logdet"] = 0.2
    wanted = sum(weights.get(name, 0.25) * value for name, value in again.terms.items())
    assert again.total.item() == pytest.approx(wanted, rel=1e-5)


def test_moco_contrasts_with_keys_of_the_teacher_and_a_queue():
    net, objective = make(alignment="moco", decoupled=False)
    moco, views = objective.alignment, draw()
    with torch.no_grad():
        for parameter in moco.teacher.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    teacher = copy.deepcopy(moco.teacher)
    queues = {name: moco.queues[name].rows.clone() for name in NAMES}
    loss = objective(views, net, describe, 0)
    pooled = describe(net, torch.cat([views.mild, views.strong, views.mixed])).detach()
    taught = describe(teacher.net, torch.cat([views.mild, views.strong])).detach()
    for name in NAMES:
        rows = projected(moco.projectors, objective, pooled, name).detach()
        keys = projected(teacher.head, objective, taught, name).detach()
        n, queue = HALF if name == "structure" else N, queues[name]
        terms = []
        for i in range(n):
            for query, key in ((rows[i], keys[N + i]), (rows[N + i], keys[i])):
                terms.append(term(float(query @ key), (queue @ query).tolist(), decoupled=False))
        assert loss.terms[name] == pytest.approx(mean(terms), rel=1e-4)
        wanted = expected_mixed(name, rows[2 * N :], keys[:N], queue, decoupled=False)
        assert loss.terms[f"{name} mixed"] == pytest.approx(wanted, rel=1e-4)
        assert torch.allclose(moco.queues[name].rows[:N], keys[:N], atol=1e-6)
        assert torch.equal(moco.queues[name].rows[N:], queue[N:])
    loss.total.backward()
    assert all(p.grad is not None for p in net.parameters())
    assert all(p.grad is None and not p.requires_grad for p in moco.teacher.parameters())


def cross_entropy(logits, targets):
    """Mean over rows, the student's temperature 0.1, the teacher's 0.04 at the first step."""
    p, q = (targets / 0.04).softmax(dim=1), (logits / 0.1).softmax(dim=1)
    return float(-(p * q.log()).sum(dim=1).mean())


def test_dino_predicts_the_teacher_and_a_mixture_both_its_sources():
    net, objective = make(alignment="dino")
    dino, views = objective.alignment, draw()
    with torch.no_grad():
        for parameter in dino.teacher.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        dino.centre.copy_(0.1 * torch.randn(12))
    teacher, centre = copy.deepcopy(dino.teacher), dino.centre.clone()
    loss = objective(views, net, describe, 0)
    columns = objective.columns["semantics"]
    with torch.no_grad():
        pooled = describe(net, torch.cat([views.mild, views.strong, views.mixed]))
        logits = dino.head(pooled[:, columns])
        taught = teacher.head(describe(teacher.net, views.mild)[:, columns])
    targets = taught - centre
    wanted = cross_entropy(logits[N : 2 * N], targets)
    assert loss.terms["semantics"] == pytest.approx(wanted, rel=1e-4)
    mixed = logits[2 * N :]
    wanted = mean([cross_entropy(mixed, targets[:HALF]), cross_entropy(mixed, targets[HALF:])])
    assert loss.terms["semantics mixed"] == pytest.approx(wanted, rel=1e-4)
    assert torch.allclose(dino.centre, 0.9 * centre + 0.1 * taught.mean(dim=0), atol=1e-6)
    assert {"structure", "structure mixed", "appearance"} < loss.terms.keys()
    assert set(dino.projectors) == {"structure", "appearance"}


def test_dino_with_local_crops_predicts_both_views_of_the_teacher_from_every_other_crop():
    net, objective = make(alignment="dino", local_crops=2)
    dino, generator = objective.alignment, torch.Generator().manual_seed(1)
    views = draw(half=0)
    views = replace(views, local=torch.rand(N, 2, 3, 32, 32, generator=generator))
    with torch.no_grad():
        for parameter in dino.teacher.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    teacher, columns = copy.deepcopy(dino.teacher), objective.columns["semantics"]
    net.eval(), teacher.eval(), dino.eval()  # each crop is described as it is alone
    loss = objective(views, net, describe, 0)
    with torch.no_grad():
        whole = [views.mild, views.strong]
        taught = [teacher.head(describe(teacher.net, each)[:, columns]) for each in whole]
        crops = [*whole, *views.local.unbind(dim=1)]
        logits = [dino.head(describe(net, each)[:, columns]) for each in crops]
    pairs = [(t, s) for t in range(2) for s in range(4) if s != t]
    wanted = mean(cross_entropy(logits[s], taught[t]) for t, s in pairs)
    assert loss.terms["semantics"] == pytest.approx(wanted, rel=1e-4)
    assert torch.allclose(dino.centre, 0.1 * torch.cat(taught).mean(dim=0), atol=1e-6)


@pytest.mark.parametrize("kind", ["none", "linear", "mlp"])
@pytest.mark.parametrize("alignment", ["simclr", "moco", "dino"])
def test_what_stands_between_embedding_and_contrast(kind, alignment):
    net, objective = make(alignment=alignment, projector=kind, disentanglement="none")
    views, aligned = draw(half=0), objective.alignment
    loss = objective(views, net, describe, 0)
    parameters = sum(each.numel() for each in aligned.projectors.parameters())
    assert (parameters == 0) == (kind == "none")
    if alignment == "simclr" and kind == "none":
        rows = describe(net, torch.cat([views.mild, views.strong])).detach()
        rows = functional.normalize(rows[:, objective.columns["semantics"]], dim=1)
        cosines = (rows @ rows.T).tolist()
        terms = []
        for i in range(2 * N):
            partner = (i + N) % (2 * N)
            negatives = [s for j, s in enumerate(cosines[i]) if j not in (i, partner)]
            terms.append(term(cosines[i][partner], negatives, decoupled=True))
        assert loss.terms["semantics"] == pytest.approx(mean(terms), rel=1e-4)
    if alignment == "moco":
        widths = {"semantics": 32, "structure": 256, "appearance": 80}
        wanted = widths if kind == "none" else dict.fromkeys(widths, 16)
        assert {name: queue.rows.shape[1] for name, queue in aligned.queues.items()} == wanted


def test_prototypes_wait_and_teachers_follow():
    net, objective = make(alignment="dino")
    dino = objective.alignment
    objective(draw(), net, describe, 1).total.backward()
    assert dino.head.prototypes.weight.grad is None
    assert dino.head.layers[0].weight.grad is not None
    objective(draw(), net, describe, 2).total.backward()
    assert dino.head.prototypes.weight.grad.abs().max() > 0
    before = dino.teacher.net.stages[0][0].weight.clone()
    with torch.no_grad():
        net.stages[0][0].weight.add_(1.0)
        dino.head.prototypes.weight.add_(1.0)
    head = dino.teacher.head.prototypes.weight.clone()
    dino.after_update(net, 0)  # momentum 0.9 at the first step
    assert torch.allclose(dino.teacher.net.stages[0][0].weight, before + 0.1, atol=1e-6)
    assert torch.allclose(dino.teacher.head.prototypes.weight, head + 0.1, atol=1e-6)


@pytest.mark.parametrize("alignment", ["simclr", "moco", "dino"])
def test_plain_views_leave_the_mixed_terms_out(alignment):
    net, objective = make(alignment=alignment, disentanglement="none")
    loss = objective(draw(half=0), net, describe, 0)
    assert loss.terms.keys() == set(NAMES)
    assert loss.semantics.shape == (N, 32)


@pytest.mark.parametrize("kind", ["logdet", "koleo", "ica"])
def test_the_infomax_term_is_that_of_the_recipe(kind):
    net, objective = make(disentanglement=kind, disentanglement_batches=1)
    views = draw()
    loss = objective(views, net, describe, 0)
    with torch.no_grad():
        pooled = describe(net, torch.cat([views.mild, views.strong, views.mixed]))
    rows = pooled[: 2 * N, :32]
    wanted = {
        "logdet": lambda: log_determinant(rows),
        "koleo": lambda: koleo(rows[:N]),
        "ica": lambda: ica(rows, torch.eye(32)),
    }[kind]()
    assert loss.terms[kind] == pytest.approx(float(wanted), rel=1e-3)
    loss.total.backward()
    learnt = {name for name, _ in objective.infomax.named_parameters()}
    assert learnt == ({"unmixing"} if kind == "ica" else set())


def test_without_weight_there_is_no_term():
    assert make(disentanglement_weight=0.0)[1].infomax is None
    assert make(disentanglement="none")[1].infomax is None


def test_guidance_is_of_a_row_with_its_length_in_the_direction_that_is_searched():
    net, objective = make(provenance_weight=1.0)
    pixels, net = draw().mild.double(), net.double().eval()
    row = objective.row(net)(pixels)
    searched = describe(net, objective.shape.scaled(pixels))[:, objective.columns["semantics"]]
    assert torch.allclose(functional.normalize(row, dim=1), searched)
    assert (row.norm(dim=1) - 1).abs().min() > 0.01
    sources = functional.normalize(searched.roll(1, dims=0), dim=1).detach()
    leaf = row.detach().requires_grad_()
    attribution_scores(leaf, sources).sum().backward()
    # A cosine's gradient is at right angles to the row, whatever the row.
    along = (leaf.grad * leaf.detach()).sum(dim=1)
    assert torch.allclose(along, (searched * sources).sum(dim=1))
