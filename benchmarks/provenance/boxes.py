"""Does guidance make class activation maps cover the object? Localisation from labels alone.

Scenes as in `classification.py`, but on grounds that say nothing of the class, and training pairs
joined by CutMix or ResizeMix, whose labels share the loss as they share the pixels. Of a composite
the logit of each source's class is not to depend on the other's places. Measured are
MaxBoxAccV2(.3), (.5) and (.7) of the maps of the true class (Choe et al., CVPR 2020), each the
share of test pictures with a box that overlaps the true one so much, at the best threshold for it;
and beside them what a map says that is the same for every picture, brightest in the middle. What
does not find more than that has found no object.

Without `--pool` objects are drawn, a third to two thirds of the side and anywhere. Those of a pool
fill the frame, as in `classification.py`, so that the middle finds most of them.

Primary endpoint, named before the runs: their mean, MaxBoxAccV2. An arm with a weight takes the
one, of the same grid for all, whose mean on the validation split is highest on average over seeds.

    python benchmarks/provenance/boxes.py --out boxes.json
    python benchmarks/provenance/boxes.py --mix resizemix --out boxes-resizemix.json
    python benchmarks/provenance/boxes.py --pool DATA --out boxes-pool.json

Trainings are kept as those of `classification.py` are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from arms import ARMS, GRID, GUIDED, Trial, mix_penalty, trials
from measures import OVERLAPS, best_overlaps, box_of, max_box_hits
from network import WIDTHS, Classifier
from numpy.typing import NDArray
from options import add_options, begin
from pictures import Data, Size, off_target, scenes_of
from pool import name_of
from refusals import told
from spurious import Scenes
from table import Plan, Statistic, mean_of, publish
from torch import Generator, Tensor, nn
from torch.nn import functional
from trainings import Record, fit, rounded, run_all

from attribution.synthesis.composites.composite import Compose, Composites
from attribution.synthesis.composites.mixing import cutmix, resizemix
from attribution.training.losses.provenance import input_gradients
from attribution.training.objective.still import still_batch_norm

MIXES: Mapping[str, Compose] = {"cutmix": cutmix, "resizemix": resizemix}
Boxes = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is."""

    size: Size
    epochs: int
    seeds: int
    weights: tuple[float, ...]
    batch: int = 16
    rate: float = 0.01
    arms: tuple[str, ...] = ARMS
    widths: tuple[int, ...] = WIDTHS
    first: int = 0  # seed


FULL = Scale(
    Size(side=40, train=80, test=100, correlated=0.25, sizes=(0.35, 0.65)),
    epochs=8,
    seeds=5,
    weights=(0.001, 0.003, 0.009),
    first=10,  # sizes and weights were tried out with the seeds 0 and 1
)
POOL = Scale(
    Size(side=48, train=240, test=100, correlated=0.25),
    epochs=12,
    seeds=5,
    weights=GRID,
)
QUICK = replace(FULL, size=replace(FULL.size, test=20), seeds=1, weights=(0.003,), first=0)


def both_logits(model: nn.Module, made: Composites, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients at composites of the logits of their first and their second class."""
    first, second = (labels[each][:, None] for each in made.sources.unbind(dim=1))

    def score(pixels: Tensor) -> tuple[Tensor, ...]:
        logits = model(pixels)
        return logits.gather(1, first).squeeze(1), logits.gather(1, second).squeeze(1)

    with still_batch_norm(model):
        ours, theirs = input_gradients(score, made.images)
    return ours, theirs


def mixed_loss(
    model: nn.Module, trial: Trial, mix: Compose, images: Tensor, labels: Tensor, draw: Generator
) -> Tensor:
    """Cross-entropy of pictures and of pairs of them in one, and the penalty of an arm."""
    if trial.arm == "no synthesis":
        return functional.cross_entropy(model(images), labels)
    rows = torch.arange(len(images))
    made = mix(images, torch.stack([rows, rows.roll(1)], dim=1), draw)
    plain, mixed = model(torch.cat([images, made.images])).split(len(images))
    share = made.masks.flatten(1).mean(dim=1)
    first, second = (
        functional.cross_entropy(mixed, labels[each], reduction="none")
        for each in made.sources.unbind(dim=1)
    )
    total = functional.cross_entropy(plain, labels) + (share * first + (1 - share) * second).mean()
    if trial.arm in GUIDED:
        ours, theirs = both_logits(model, made, labels)
        total = total + trial.weight * mix_penalty(trial.arm, ours, theirs, made.masks)
    return total


def overlaps_of(model: Classifier, images: Tensor, labels: Tensor, boxes: Boxes) -> Boxes:
    """`(n, 25)` of `best_overlaps` of the maps of the true classes, at the size of the pictures."""
    found = []
    for rows in torch.arange(len(images)).split(64):
        with torch.no_grad():
            maps = model.maps(images[rows])[torch.arange(len(rows)), labels[rows]]
            large = functional.interpolate(
                maps[:, None], size=images.shape[-2:], mode="bilinear", align_corners=False
            )
        heats = large[:, 0].double().numpy()
        found += [best_overlaps(*each) for each in zip(heats, boxes[rows.numpy()], strict=True)]
    return np.stack(found)


def boxes_of(scenes: Scenes) -> Boxes:
    """`(n, 4)` around the objects."""
    return np.stack([box_of(each[0].numpy() > 0) for each in scenes.mattes])


def hits_of(model: Classifier, scenes: Scenes) -> NDArray[np.bool_]:
    """`(n, 3)`, see `max_box_hits`."""
    return max_box_hits(overlaps_of(model, scenes.images, scenes.labels, boxes_of(scenes)))


def middle_hits(boxes: Boxes, side: int) -> NDArray[np.bool_]:
    """`hits_of` a map that is the same for every picture, brightest in the middle."""
    steps = np.arange(side) - (side - 1) / 2
    heat = -(steps[:, None] ** 2 + steps**2)
    return max_box_hits(np.stack([best_overlaps(heat, each) for each in boxes]))


def samples_of(hits: NDArray[np.bool_], boxes: Boxes, side: int) -> dict[str, list[int]]:
    """A list for each overlap of what maps hit, and of what the middle does."""
    return {
        f"{name}{overlap:g}": each[:, i].astype(int).tolist()
        for name, each in (("hit", hits), ("middle", middle_hits(boxes, side)))
        for i, overlap in enumerate(OVERLAPS)
    }


def on_one_ground(scenes: Scenes) -> Scenes:
    """Every object once, on each kind of ground as often: another ground adds little, and time."""
    kinds = len(scenes.grounds.unique())
    objects = torch.arange(len(scenes) // kinds)
    return scenes.rows(kinds * objects + objects % kinds)


def run(trial: Trial, data: Data, scale: Scale, mix: Compose) -> Record:
    """Train and measure."""
    torch.manual_seed(trial.seed)
    model = Classifier(len(data.classes), scale.widths).train()

    def loss(rows: Tensor, draw: Generator) -> Tensor:
        scenes = data.train.rows(rows)
        return mixed_loss(model, trial, mix, scenes.images, scenes.labels, draw)

    seconds = fit(model, loss, trial, len(data.train), scale)
    held = [on_one_ground(each) for each in (data.validation, data.test)]
    hits = hits_of(model, held[1])
    with torch.no_grad():
        right = model(held[1].images).argmax(dim=1) == held[1].labels
    shares, _ = off_target(model, held[1])
    samples = samples_of(hits, boxes_of(held[1]), scale.size.side)
    middle = np.mean([samples[f"middle{each:g}"] for each in OVERLAPS])
    samples |= {"right": right.long().tolist(), "off_target": rounded(shares)}
    return {
        "validation": float(hits_of(model, held[0]).mean()),
        "figures": {
            "v2": float(hits.mean()),
            **{f"v2@{each:g}": float(hits[:, i].mean()) for i, each in enumerate(OVERLAPS)},
            "middle": float(middle),
            "accuracy": float(right.float().mean()),
            "off_target": float(shares.mean()),
        },
        "samples": samples,
        "cpu_seconds_epoch": seconds,
    }


def _mean_over_overlaps(name: str) -> Statistic:
    means = [mean_of(f"{name}{each:g}") for each in OVERLAPS]
    return lambda samples, times: float(np.mean([mean(samples, times) for mean in means]))


STATISTICS: Mapping[str, Statistic] = {
    "MaxBoxAccV2": _mean_over_overlaps("hit"),
    **{f"at {each:g}": mean_of(f"hit{each:g}") for each in OVERLAPS},
    "of the middle": _mean_over_overlaps("middle"),
    "accuracy": mean_of("right"),
    "off target": mean_of("off_target"),
}


def plan_of(scale: Scale, mix: str) -> Plan:
    """What the table shows."""
    return Plan(
        title=f"Localisation from labels, {mix}",
        endpoint="MaxBoxAccV2",
        statistics=STATISTICS,
        weights=scale.weights,
        elements=3 * scale.size.side**2,
    )


def main() -> None:
    """Train every arm with every seed, or read what was, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, one weight, small scenes")
    parser.add_argument("--pool", type=Path, help="folder of tar files with index.jsonl")
    parser.add_argument("--mix", choices=tuple(MIXES), default="cutmix")
    arguments = add_options(parser, "boxes").parse_args()
    arguments.table = f"boxes-{arguments.mix}"
    scale = QUICK if arguments.quick else POOL if arguments.pool else FULL
    folder = begin(arguments, asdict(scale) | {"objects": name_of(arguments.pool)})
    kept = arguments.runs / f"objects-{name_of(arguments.pool)}.npz"
    data = cache(partial(scenes_of, arguments.pool, kept, scale.size))
    measured: Callable[[Trial], Record] = lambda trial: run(  # noqa: E731
        trial, data(trial.seed), scale, MIXES[arguments.mix]
    )
    wanted = trials(scale.seeds, scale.weights, arms=scale.arms, first=scale.first)
    records = run_all(folder, wanted, measured, only=arguments.seeds)
    publish(plan_of(scale, arguments.mix), records, folder, arguments.out)


if __name__ == "__main__":
    told(main)
