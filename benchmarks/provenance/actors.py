"""Does guidance make a network know who acts? Labels of whole sequences, tubes of persons.

Sequences are synthetic (`skeletons.py`): three persons, one of whom acts. A network reads each
person, the largest of every feature over persons makes the sequence's, and a linear map the logits;
the same map of one person's features says how much that person acts (after Hachiuma, Sato and
Sekii, "Unified Keypoint-based Action Recognition Framework via Structured Keypoint Pooling", CVPR
2023). Synthesis puts the persons of two sequences into one, which then has both labels; guidance
asks that the logit of each label does not depend on the persons of the other sequence.

Primary endpoint, named before the runs: AP@.5, average precision of tubes that overlap the actor's
by half or more, averaged over actions, where each person of a test sequence is claimed with every
action. It chooses the weight on a validation set, on average over seeds, of the same grid for all.

    python benchmarks/provenance/actors.py --out actors.json

Trainings are kept as those of `classification.py` are.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache

import numpy as np
import torch
from arms import ARMS, GUIDED, Trial, mix_penalty, trials
from boxes import both_logits
from measures import Detection, average_precision, matched
from numpy.typing import NDArray
from options import add_options, begin
from refusals import told
from skeletons import ACTIONS, JOINTS, Sequences, make_sequences, tubes
from table import Plan, mean_of, publish
from torch import Generator, Tensor, nn
from torch.nn import functional
from trainings import Record, arrays, fit, run_all

from attribution.synthesis.composites.skeletons import join_persons

LEAST = 0.5
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is; `train` and `test` are sequences, validation is as large as the test."""

    train: int
    test: int
    epochs: int
    seeds: int
    weights: tuple[float, ...]
    width: int = 64
    batch: int = 32
    rate: float = 0.01
    arms: tuple[str, ...] = ARMS


FULL = Scale(train=600, test=600, epochs=15, seeds=5, weights=(0.0003, 0.0009, 0.0027))
QUICK = replace(FULL, test=120, epochs=8, seeds=1, weights=(0.0009,))


class Reader(nn.Module):
    """Convolutions over the frames of a person, the largest over frames, then over persons.

    Args:
        classes: how many.
        joints: of a person.
        width: of the features.
    """

    def __init__(self, classes: int, joints: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(2 * 2 * joints, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, width, 5, padding=2),
            nn.ReLU(),
        )
        self.head = nn.Linear(width, classes)

    def persons(self, points: Tensor) -> Tensor:
        """`(n, 2, p, f, e)` to features `(n, p, width)`.

        Places are taken from the middle of a person, in units of its size, with their changes from
        frame to frame beside them.
        """
        centre = points.mean(dim=(3, 4), keepdim=True)
        size = points.std(dim=(1, 3, 4), keepdim=True, correction=0).clamp(min=1e-3)
        shape = (points - centre) / size
        change = functional.pad(shape.diff(dim=3), (0, 0, 1, 0))
        known = torch.cat([shape, 4 * change], dim=1)
        n, channels, persons, frames, joints = known.shape
        rows = known.permute(0, 2, 1, 4, 3).reshape(n * persons, channels * joints, frames)
        features: Tensor = self.layers(rows).amax(dim=2)
        return features.view(n, persons, -1)

    def forward(self, points: Tensor) -> Tensor:
        """`(n, 2, p, f, e)` to `(n, k)` logits."""
        logits: Tensor = self.head(self.persons(points).amax(dim=1))
        return logits


def sequence_loss(model: nn.Module, trial: Trial, points: Tensor, labels: Tensor,
                  classes: int, draw: Generator) -> Tensor:  # fmt: skip
    """Binary cross-entropy of sequences and of two in one, and the penalty of an arm."""
    wanted = functional.one_hot(labels, classes).float()
    total = functional.binary_cross_entropy_with_logits(model(points), wanted)
    if trial.arm == "no synthesis":
        return total
    rows = torch.arange(len(points))
    made = join_persons(points, torch.stack([rows, rows.roll(1)], dim=1), draw)
    both = torch.maximum(wanted, wanted.roll(1, dims=0))
    total = total + functional.binary_cross_entropy_with_logits(model(made.images), both)
    if trial.arm in GUIDED:
        ours, theirs = both_logits(model, made, labels)
        # Where both do the same, either's persons may decide.
        apart = (labels != labels.roll(1)).float().view(-1, 1, 1, 1, 1)
        penalty = mix_penalty(trial.arm, apart * ours, apart * theirs, made.masks)
        total = total + trial.weight * penalty
    return total


def claims(
    model: Reader, points: Tensor, people: Sequence[Sequence[Floats]], names: Sequence[str]
) -> list[Detection]:
    """Every person of every sequence with every class, scored by that person's features alone."""
    found = []
    for number, name in enumerate(names):
        with torch.no_grad():
            scores = model.head(model.persons(points[number : number + 1]))[0].sigmoid().numpy()
        found += [
            Detection(name, label, float(scores[person, label]), tube)
            for person, tube in enumerate(people[number])
            for label in range(scores.shape[1])
        ]
    return found


def mean_average_precision(samples: Mapping[str, Floats], times: Floats) -> float:
    """Mean over classes of the average precision of the claims of that class.

    A sample is a claim; `true` has, on the first claim of a sequence and class, how many true tubes
    there are.
    """
    labels = samples["label"].astype(int)
    found = []
    for label in np.unique(labels):
        own = labels == label
        positives = float((samples["true"][own] * times[own]).sum())
        if positives > 0:
            hits, scores = samples["hit"][own], samples["score"][own]
            found.append(average_precision(scores, hits, times[own], positives))
    return float(np.mean(found))


def samples_of(
    detections: Sequence[Detection], truths: Mapping[tuple[str, int], Sequence[Floats]]
) -> dict[str, list[float]]:
    """What `mean_average_precision` reads, a value a claim; a unit is a sequence."""
    videos = {name: number for number, name in enumerate({each.video: 0 for each in detections})}
    seen: set[tuple[str, int]] = set()
    true = []
    for each in detections:
        key = (each.video, each.label)
        true.append(0.0 if key in seen else float(len(truths.get(key, ()))))
        seen.add(key)
    return {
        "score": [round(each.score, 5) for each in detections],
        "hit": [float(each) for each in matched(detections, truths, LEAST)],
        "label": [float(each.label) for each in detections],
        "true": true,
        "unit": [float(videos[each.video]) for each in detections],
    }


def run(trial: Trial, parts: Sequence[Sequences], scale: Scale) -> Record:
    """Train and measure."""
    train, *held = parts
    torch.manual_seed(trial.seed)
    model = Reader(len(ACTIONS), len(JOINTS), scale.width).train()

    def loss(rows: Tensor, draw: Generator) -> Tensor:
        points, labels = train.points[rows], train.labels[rows]
        return sequence_loss(model, trial, points, labels, len(ACTIONS), draw)

    seconds = fit(model, loss, trial, len(train), scale)
    validation, test = (_claimed(model, each) for each in held)
    found = mean_average_precision(arrays(test), np.ones(len(test["hit"])))
    with torch.no_grad():
        right = (model(held[1].points).argmax(dim=1) == held[1].labels).float().tolist()
    share = _off_target(model, held[1])
    claimed = len(test["hit"]) // len(right)
    test["right"] = [each for each in right for _ in range(claimed)]
    test["off_target"] = [round(each, 4) for each in share for _ in range(claimed)]
    return {
        "validation": mean_average_precision(arrays(validation), np.ones(len(validation["hit"]))),
        "figures": {
            "ap": found,
            "accuracy": float(np.mean(right)),
            "off_target": float(np.mean(share)),
        },
        "samples": test,
        "cpu_seconds_epoch": seconds,
    }


def _claimed(model: Reader, held: Sequences) -> dict[str, list[float]]:
    names = [str(number) for number in range(len(held))]
    people = [tubes(each.double().numpy()) for each in held.points]
    truths = {
        (name, int(label)): [own[int(actor)]]
        for name, own, label, actor in zip(names, people, held.labels, held.actors, strict=True)
    }
    return samples_of(claims(model, held.points, people, names), truths)


def _off_target(model: Reader, held: Sequences) -> list[float]:
    """Of each sequence the share of the squared gradient of its label that is not the actor's."""
    points = held.points.clone().requires_grad_()
    logits = model(points).gather(1, held.labels[:, None])
    squares = torch.autograd.grad(logits.sum(), points)[0].square().sum(dim=(1, 3, 4))
    own = squares.gather(1, held.actors[:, None])[:, 0]
    shares: list[float] = (1 - own / squares.sum(dim=1).clamp(min=1e-30)).tolist()
    return shares


def plan_of(scale: Scale) -> Plan:
    """What the table shows."""
    return Plan(
        title="Who acts, synthetic skeletons",
        endpoint="AP@.5",
        statistics={
            "AP@.5": mean_average_precision,
            "accuracy": mean_of("right"),
            "off target": mean_of("off_target"),
        },
        weights=scale.weights,
        elements=2 * 6 * 16 * len(JOINTS),
    )


def main() -> None:
    """Train every arm with every seed, or read what was, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, one weight, few sequences")
    arguments = add_options(parser, "actors").parse_args()
    scale = QUICK if arguments.quick else FULL
    folder = begin(arguments, asdict(scale))

    @cache
    def parts(seed: int) -> list[Sequences]:
        rng = np.random.default_rng(seed)
        return [make_sequences(count, rng) for count in (scale.train, scale.test, scale.test)]

    wanted = trials(scale.seeds, scale.weights, arms=scale.arms)
    records = run_all(
        folder, wanted, lambda trial: run(trial, parts(trial.seed), scale), only=arguments.seeds
    )
    publish(plan_of(scale), records, folder, arguments.out)


if __name__ == "__main__":
    told(main)
