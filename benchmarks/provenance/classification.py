"""Does guiding gradients by provenance make a classifier look at the object, not the ground?

Objects stand on grounds that go with their class in 95 % of the training pictures; in validation
and test each object stands once on every kind of ground. Five arms share data, steps and seeds: no
synthesis; synthesis, the object on another ground; and synthesis with the penalty of the paper by
the true mask, by a random one (the next picture's) and everywhere. Also the true mask dilated and
eroded by 10 and 30 % of its area.

Primary endpoint, named before the runs: accuracy of the worst group, a class on its own kind of
ground or on the others. An arm with a weight takes the one, of the same grid for all, whose
accuracy in the worst group of the validation split is highest on average over seeds.

    python benchmarks/provenance/classification.py --quick
    python benchmarks/provenance/classification.py --pool DATA --out classification.json
    python benchmarks/provenance/classification.py --pool DATA --edited 4 --out edited-4.json
    python benchmarks/provenance/classification.py --pool DATA --weights .01 .03 --out lower.json

With `--edited 4` synthesis is scarce: only 4 pictures of each batch of 16 are also shown on another
ground, so that about four of five pictures of a step stand on the ground of their class still.
`--weights` is another grid for all arms; masks are exact with either.

`--pool` is a folder of tar files with `index.jsonl` (a row a picture: `file`, `set`, `label`).
Without it outlines are drawn and filled. A training writes a file of its own into `--runs` and is
not repeated; two commands with different `--seeds` may work on one folder.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from arms import ARMS, GRID, GUIDED, NOISE, Trial, edit_penalty, trials
from network import WIDTHS, Classifier
from options import add_options, begin
from pictures import Data, Size, off_target, own_logit, scenes_of
from pool import name_of
from refusals import count, positive, told
from spurious import CORRELATED, Scenes, on_other_grounds, resized
from table import Plan, mean_of, publish, worst_group, worst_of
from torch import Generator, Tensor, nn
from torch.nn import functional
from trainings import Record, fit, rounded, run_all

from attribution.synthesis.composites.composite import Composites


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is: `quick` shows the sign, the other measures it.

    `edited` of the pictures of a batch are shown on another ground, too.
    """

    size: Size
    epochs: int
    seeds: int
    weights: tuple[float, ...]
    noise: tuple[float, ...]
    arms: tuple[str, ...]
    widths: tuple[int, ...] = WIDTHS
    batch: int = 16
    rate: float = 0.01
    edited: int = 16


QUICK = Scale(
    Size(side=40, train=120, test=20, correlated=CORRELATED),
    epochs=20,
    seeds=1,
    weights=(1.0,),
    noise=(),
    arms=("synthesis", "true", "random"),
    widths=(16, 32, 32, 32),
)
FULL = Scale(
    Size(side=48, train=300, test=100, correlated=CORRELATED),
    epochs=12,
    seeds=5,
    weights=GRID,
    noise=NOISE,
    arms=ARMS,
)


def edited_loss(
    model: nn.Module,
    trial: Trial,
    images: Tensor,
    labels: Tensor,
    edited: Composites,
    guides: Tensor,
) -> Tensor:
    """Cross-entropy of pictures and of edited ones, and the penalty of an arm on the edited ones.

    Args:
        model: pictures to logits.
        trial: whose arm and weight.
        images: `(n, 3, s, s)`.
        labels: `(n,)`.
        edited: of each of the first m pictures one.
        guides: `(m, 1, s, s)`, 1 where the gradient may be.
    """
    theirs = labels[: len(edited)]
    logits = model(torch.cat([images, edited.images]))
    total = functional.cross_entropy(logits, torch.cat([labels, theirs]))
    if trial.arm in GUIDED:
        gradient = own_logit(model, edited.images, theirs)
        total = total + trial.weight * edit_penalty(trial.arm, gradient, guides)
    return total


def train(trial: Trial, data: Data, scale: Scale) -> tuple[Classifier, float]:
    """A classifier by one arm, and CPU seconds an epoch."""
    torch.manual_seed(trial.seed)
    model = Classifier(len(data.classes), scale.widths).train()
    guides = data.train.mattes
    if trial.noise:
        guides = torch.stack([resized(each, trial.noise) for each in guides])

    def loss(rows: Tensor, draw: Generator) -> Tensor:
        scenes = data.train.rows(rows)
        if trial.arm == "no synthesis":
            return functional.cross_entropy(model(scenes.images), scenes.labels)
        some = scenes.rows(torch.arange(min(scale.edited, len(scenes))))
        made = on_other_grounds(some, data.grounds, draw)
        return edited_loss(
            model, trial, scenes.images, scenes.labels, made, guides[rows][: len(some)]
        )

    seconds = fit(model, loss, trial, len(data.train), scale)
    return model, seconds


def correct(model: Classifier, scenes: Scenes) -> dict[str, list[float]]:
    """Of each scene whether its class is found, its group, and the object that it is of.

    A group is a class on its own kind of ground, or on any other.
    """
    with torch.no_grad():
        found = torch.cat([model(part).argmax(dim=1) for part in scenes.images.split(256)])
    groups = 2 * scenes.labels + (scenes.labels == scenes.grounds)
    kinds = len(scenes.grounds.unique())
    return {
        "right": (found == scenes.labels).long().tolist(),
        "group": groups.tolist(),
        "unit": (torch.arange(len(scenes)) // kinds).tolist(),
    }


def run(trial: Trial, data: Data, scale: Scale) -> Record:
    """Train and measure."""
    model, seconds = train(trial, data, scale)
    samples = correct(model, data.test)
    shares, sums = off_target(model, data.test)
    samples["off_target"] = rounded(shares)
    return {
        "validation": worst_of(correct(model, data.validation)),
        "figures": {
            "average": float(np.mean(samples["right"])),
            "worst_group": worst_of(samples),
            "off_target": float(shares.mean()),
            "energy": float(sums.mean()),
        },
        "samples": samples,
        "cpu_seconds_epoch": seconds,
    }


def plan_of(scale: Scale) -> Plan:
    """What the table shows."""
    scarce = f", {scale.edited} of {scale.batch} edited" if scale.edited < scale.batch else ""
    return Plan(
        title=f"Classification under spurious grounds{scarce}",
        endpoint="worst group",
        statistics={
            "worst group": worst_group,
            "average": mean_of("right"),
            "off target": mean_of("off_target"),
        },
        weights=scale.weights,
        elements=3 * scale.size.side**2,
    )


def main() -> None:
    """Train every arm with every seed, or read what was, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, one weight, three minutes")
    parser.add_argument("--pool", type=Path, help="folder of tar files with index.jsonl")
    parser.add_argument("--edited", type=count, help="pictures of a batch of 16 that are edited")
    parser.add_argument("--weights", type=positive, nargs="+", help="another grid of weights")
    arguments = add_options(parser, "classification").parse_args()
    scale = QUICK if arguments.quick else FULL
    if arguments.edited is not None:
        if arguments.edited > scale.batch:
            parser.error(f"a batch has {scale.batch} pictures, fewer than --edited")
        arguments.table = f"classification-edited-{arguments.edited}"
        scale = replace(scale, edited=arguments.edited, noise=())
    if arguments.weights is not None:
        grid = tuple(sorted(set(arguments.weights)))
        arguments.table += "".join(f"-{weight:g}" for weight in grid)
        scale = replace(scale, weights=grid, noise=())
    folder = begin(arguments, asdict(scale) | {"objects": name_of(arguments.pool)})
    kept = arguments.runs / f"objects-{name_of(arguments.pool)}.npz"
    data = cache(partial(scenes_of, arguments.pool, kept, scale.size))
    wanted = trials(scale.seeds, scale.weights, scale.noise, scale.arms)
    records = run_all(folder, wanted, lambda trial: run(trial, data(trial.seed), scale),
                      only=arguments.seeds)  # fmt: skip
    publish(plan_of(scale), records, folder, arguments.out)


if __name__ == "__main__":
    told(main)
