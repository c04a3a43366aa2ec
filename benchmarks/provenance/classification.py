"""Does guiding gradients by provenance make a classifier look at the object, not the ground?

Objects stand on grounds that go with their class in 95 % of the training pictures and in none more
than others in the test. Five arms share data, steps and seeds: no synthesis; synthesis, the object
on another ground; and synthesis with the penalty of the paper by the true mask, by a random one
(the next picture's) and everywhere. Each arm that has a weight chooses it from the same grid by the
worst group's accuracy on a validation split. Figures are means over seeds.

    python benchmarks/provenance/classification.py --quick
    python benchmarks/provenance/classification.py --pool DATA --out classification.json

`--pool` is a folder of tar files with `index.jsonl` (a row a picture: `file`, `set`, `label`);
objects are cut out of pictures on a plain ground. Without it outlines are drawn and filled.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from objects import cut_out, drawn_objects, textures
from spurious import CORRELATED, Scenes, make_scenes, on_other_grounds
from torch import Generator, Tensor, nn
from torch.nn import functional

from attribution.training.data.images import members
from attribution.training.losses.provenance import (
    editing_penalty,
    input_gradients,
    squared_length,
)
from attribution.training.objective.still import still_batch_norm
from models.backbones.residual import ResidualNet
from models.images.decoding import decode
from models.images.errors import ImageError

ARMS = ("no synthesis", "synthesis", "true", "random", "full")
GUIDED = ("true", "random", "full")
BATCH = 32
WEIGHTS = (0.01, 0.03, 0.09)
"""For squares added up over the values of a picture in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is: `quick` shows the sign, the other measures it."""

    side: int
    train: int
    test: int
    epochs: int
    seeds: int
    weights: tuple[float, ...]


QUICK = Scale(side=48, train=160, test=80, epochs=8, seeds=1, weights=(0.03,))
FULL = Scale(side=48, train=500, test=150, epochs=12, seeds=5, weights=WEIGHTS)
"""`train` and `test` are objects of each class; the validation split is as large as the test."""


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Scenes of one seed, and pictures of grounds for the edits."""

    train: Scenes
    validation: Scenes
    test: Scenes
    grounds: Tensor
    classes: tuple[str, ...]


class Classifier(nn.Module):
    """The project's network with the classes as a linear map of its pooled last stage."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.net = ResidualNet((24, 48, 96, 192), (1, 1, 1, 0))
        self.head = nn.Linear(192, classes)

    def forward(self, images: Tensor) -> Tensor:
        """`(n, 3, s, s)` in [0, 1] to `(n, k)` logits."""
        return self.head(self.net.learnt((images - 0.5) / 0.25).patches.mean(dim=(2, 3)))


def own_logit(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The gradient at the images of each one's own class, `(n, 3, s, s)`."""

    def score(pixels: Tensor) -> tuple[Tensor, ...]:
        return (model(pixels).gather(1, labels[:, None]).squeeze(1),)

    with still_batch_norm(model):
        return input_gradients(score, images)[0]


def penalty(arm: str, gradient: Tensor, masks: Tensor) -> Tensor:
    """What an arm penalises; squares are added up over a picture."""
    if arm == "full":
        return squared_length(gradient)
    return editing_penalty(gradient, masks.roll(1, dims=0) if arm == "random" else masks)


def train(arm: str, weight: float, data: Data, scale: Scale, seed: int) -> Classifier:
    """A classifier by one arm; every arm of a seed starts alike and sees the same pictures."""
    torch.manual_seed(seed)
    model = Classifier(len(data.classes)).train()
    per_epoch = len(data.train) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, scale.epochs * per_epoch)
    for epoch in range(scale.epochs):
        order = torch.randperm(len(data.train), generator=Generator().manual_seed(epoch))
        for step in range(per_epoch):
            generator = Generator().manual_seed(seed * 1_000_003 + epoch * per_epoch + step)
            scenes = data.train.rows(order[step * BATCH : (step + 1) * BATCH])
            loss = _loss(model, arm, weight, scenes, data.grounds, generator)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def _loss(
    model: Classifier, arm: str, weight: float, scenes: Scenes, grounds: Tensor, draw: Generator
) -> Tensor:
    """Cross-entropy of scenes and of edited ones, and the penalty on the edited ones."""
    if arm == "no synthesis":
        return functional.cross_entropy(model(scenes.images), scenes.labels)
    made = on_other_grounds(scenes, grounds, draw)
    logits = model(torch.cat([scenes.images, made.images]))
    loss = functional.cross_entropy(logits, scenes.labels.repeat(2))
    if arm in GUIDED:
        gradient = own_logit(model, made.images, scenes.labels)
        loss = loss + weight * penalty(arm, gradient, made.masks)
    return loss


def measure(model: Classifier, scenes: Scenes) -> dict[str, float]:
    """Accuracy on average and of the worst group, and how much of the gradient is off the object.

    A group is a class on a kind of ground; groups of fewer than five scenes do not count.
    """
    with torch.no_grad():
        right = torch.cat([model(part).argmax(dim=1) for part in scenes.images.split(256)])
    right = (right == scenes.labels).float()
    groups = scenes.labels * 1_000 + scenes.grounds
    worst = min(
        float(right[groups == group].mean())
        for group in groups.unique()
        if int((groups == group).sum()) >= 5
    )
    gradients = torch.cat(
        [
            own_logit(model, images, labels).detach()
            for images, labels in zip(scenes.images.split(64), scenes.labels.split(64), strict=True)
        ]
    )
    energy = gradients.flatten(1).square().sum(dim=1).clamp(min=1e-30)
    off = ((1 - scenes.mattes) * gradients).flatten(1).square().sum(dim=1)
    return {
        "average": float(right.mean()),
        "worst_group": worst,
        "off_target": float((off / energy).mean()),
        "energy": float(energy.mean()),
    }


def drawn_data(scale: Scale, seed: int) -> Data:
    """Drawn outlines on the textures of the bundled photographs."""
    rng = np.random.default_rng(seed)
    parts = [
        (drawn_objects(count, 64, rng), correlated)
        for count, correlated in _parts(scale, classes=4)
    ]
    return _data(parts, textures(200, scale.side, rng), scale, rng)


def pooled_data(pool: Path, scale: Scale, seed: int) -> Data:
    """Objects cut out of the cartoons of a pool, on its textures; as many of each class."""
    rows = [json.loads(line) for line in (pool / "index.jsonl").read_text().splitlines()]
    known = {row["file"]: row for row in rows if row["set"] in ("pacs", "dtd10")}
    labelled, grounds = [], {}
    for archive in sorted(pool.glob("*.tar")):
        for name, data in members(archive):
            row = known.get(name)
            if row is None:
                continue
            try:
                picture = decode(data).image
            except ImageError:
                continue
            if row["set"] == "pacs":
                labelled.append((row["label"], picture))
            else:
                grounds.setdefault(row["label"], []).append(np.asarray(picture))
    objects, counts = cut_out(labelled, classes=4)
    print("objects cut out:", ", ".join(f"{label} {count}" for label, count in counts.items()))
    rng = np.random.default_rng(seed)
    kept = min(counts.values())
    each = {label: [one for one in objects if one.label == label] for label in counts}
    orders = {label: rng.permutation(len(own))[:kept] for label, own in each.items()}
    parts, start = [], 0
    for count, correlated in _parts(scale, classes=len(counts), most=kept):
        chosen = [each[label][i] for label in counts for i in orders[label][start : start + count]]
        parts.append((chosen, correlated))
        start += count
    return _data(parts, [grounds[kind] for kind in sorted(grounds)[: len(counts)]], scale, rng)


def _parts(scale: Scale, *, classes: int, most: int | None = None) -> list[tuple[int, float]]:
    """Objects a class of training, validation and test, and how often the ground is the class's."""
    train, test = scale.train, scale.test
    if most is not None and train + 2 * test > most:
        train, test = most * 6 // 10, most * 2 // 10
    return [(train, CORRELATED), (test, 1 / classes), (test, 1 / classes)]


def _data(parts: Sequence[Any], grounds: Sequence[Any], scale: Scale, rng: Any) -> Data:
    train, validation, test = (
        make_scenes(objects, grounds, scale.side, rng, correlated=correlated)
        for objects, correlated in parts
    )
    plain = torch.stack(
        [
            functional.interpolate(
                torch.from_numpy(np.array(each)).permute(2, 0, 1)[None].float() / 255,
                size=scale.side,
                mode="bilinear",
                antialias=True,
            )[0]
            for kind in grounds
            for each in kind
        ]
    )
    classes = tuple(sorted({each.label for each in parts[0][0]}))
    return Data(train, validation, test, plain, classes)


def compare(data: Data, scale: Scale, seed: int) -> dict[str, dict[str, float]]:
    """Test figures of every arm, each with the weight that its validation split prefers."""
    figures = {}
    for arm in ARMS:
        started, tried = time.perf_counter(), []
        for weight in scale.weights if arm in GUIDED else (0.0,):
            model = train(arm, weight, data, scale, seed)
            tried.append((measure(model, data.validation)["worst_group"], weight, model))
        seconds = (time.perf_counter() - started) / len(tried) / scale.epochs
        _, weight, model = max(tried, key=lambda each: each[0])
        figures[arm] = measure(model, data.test) | {"weight": weight, "seconds_epoch": seconds}
        print(f"seed {seed}, {arm:12}", _line(figures[arm]), flush=True)
    return figures


def _line(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in figures.items())


def main() -> None:
    """Train every arm with every seed, print means and write everything."""
    arguments = _arguments()
    torch.set_num_threads(os.cpu_count() or 1)
    scale = QUICK if arguments.quick else FULL
    started, runs = time.perf_counter(), []
    for seed in range(scale.seeds):
        pool = arguments.pool
        data = drawn_data(scale, seed) if pool is None else pooled_data(pool, scale, seed)
        if seed == 0:
            print(f"{len(data.train)} to train on, {len(data.test)} to test, classes", data.classes)
        runs.append(compare(data, scale, seed))
    print(f"\nmean over {scale.seeds} seeds, standard deviation in brackets")
    for arm in ARMS:
        cells = {name: [run[arm][name] for run in runs] for name in runs[0][arm]}
        print(f"{arm:12}", *(f"{name} {fmean(own):.3f} ({_spread(own):.3f})"
              for name, own in cells.items()))  # fmt: skip
    elements = 3 * scale.side**2
    document = {
        "objects": "drawn outlines" if arguments.pool is None else "cut out of the pool",
        "scale": {name: getattr(scale, name) for name in Scale.__slots__},
        "weights_for_a_mean_over_values": [weight * elements for weight in scale.weights],
        "runs": runs,
        "seconds": round(time.perf_counter() - started, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
    }
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{document['seconds']} s on {document['machine']}")


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, one weight, three minutes")
    parser.add_argument("--pool", type=Path, help="folder of tar files with index.jsonl")
    parser.add_argument("--out", type=Path, help="JSON file of all figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
