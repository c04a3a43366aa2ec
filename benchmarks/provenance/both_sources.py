"""Does guidance help an encoder find both sources of a composite, each by its own region?

A small encoder learns from two views of every photograph (SimCLR). Synthesis also joins pairs by
every kind of mix that there is (`attribution.synthesis.composites`) and asks for both sources of a
composite. Guidance is that of `attribution train --provenance-weight`: what points to a source is
not to depend on the other's region. Composites of the test are of photographs held out, each used
once; all of these compete.

Primary endpoint, named before the runs: mean average precision of both sources. It chooses the
weight on other photographs held out, on average over seeds, of the same grid for all. Also measured
is the energy inside the true region: the share of the squared gradients of both scores that lies
in the own source's places.

    python benchmarks/provenance/both_sources.py --pool DATA --out both_sources.json

`--pool` is a folder of tar files of photographs with `index.jsonl`; without it pieces of the
bundled photographs are taken. Trainings are kept as those of `classification.py` are.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from arms import ARMS, GUIDED, Trial, mix_penalty, trials
from network import WIDTHS, Classifier
from objects import piece
from options import add_options, begin
from pool import name_of, rows_of
from refusals import Unusable, told
from table import Plan, mean_of, publish
from torch import Generator, Tensor
from torch.nn import functional
from trainings import Record, fit, rounded, run_all

from attribution.measures import average_precision, truth_ranks
from attribution.synthesis.composites.composite import Composites
from attribution.synthesis.photographs import bundled_photographs
from attribution.training.data.composing import compose
from attribution.training.data.images import members
from attribution.training.data.views import MILD, STRONG, make_view
from attribution.training.losses.contrast import multi_positive, nt_xent
from attribution.training.losses.provenance import (
    attribution_scores,
    input_gradients,
    share_off_target,
)
from attribution.training.objective.still import still_batch_norm
from models.images.decoding import decode
from models.images.errors import ImageError

TEMPERATURE = 0.2


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is; `train`, `validation` and `test` are photographs."""

    side: int
    train: int
    validation: int
    test: int
    epochs: int
    seeds: int
    weights: tuple[float, ...]
    widths: tuple[int, ...] = WIDTHS
    dimension: int = 64
    batch: int = 64
    rate: float = 0.005
    arms: tuple[str, ...] = ARMS


FULL = Scale(
    side=48,
    train=1_600,
    validation=400,
    test=1_000,
    epochs=12,
    seeds=5,
    weights=(1.0, 3.0, 9.0),
)
QUICK = replace(FULL, train=384, validation=100, test=200, epochs=4, seeds=1, weights=(3.0,))


def photographs(pool: Path | None, kept: Path, count: int, side: int) -> Tensor:
    """`(count, 3, side, side)` uint8: photographs that are sources of nothing, or pieces.

    Args:
        pool: the folder; None: pieces of the bundled photographs.
        kept: file that they lie in, or are written to.
        count: how many.
        side: each is squashed to it.

    Raises:
        Unusable: the pool has too few.
    """
    if pool is None:
        rng = np.random.default_rng(0)
        bundled = [each.image for each in bundled_photographs()]
        pieces = [piece(bundled[n % len(bundled)], side, rng) for n in range(count)]
        return torch.from_numpy(np.stack([np.asarray(each) for each in pieces])).permute(0, 3, 1, 2)
    if not kept.exists():
        squashed, part = _squashed(pool, count, side), kept.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, squashed)
        part.replace(kept)
    found = torch.from_numpy(np.load(kept))
    if len(found) < count:
        raise Unusable(f"{len(found)} photographs in {kept}, fewer than {count}: delete it, or "
                       "give a larger pool")  # fmt: skip
    return found[:count].permute(0, 3, 1, 2)


def _squashed(pool: Path, count: int, side: int) -> np.ndarray:
    wanted = {file for file, row in rows_of(pool).items() if row.get("distractor")}
    found: list[np.ndarray] = []
    for archive in sorted(pool.glob("*.tar")):
        for name, data in members(archive):
            if name in wanted and len(found) < count:
                try:
                    picture = decode(data).image.convert("RGB")
                except ImageError:
                    continue
                found.append(np.asarray(picture.resize((side, side))))
    if not found:
        raise Unusable(f"no photograph that {pool / 'index.jsonl'} calls a distractor is in a tar "
                       f"file of {pool}: give another pool, or leave --pool out")  # fmt: skip
    return np.stack(found)


def loss_of(model: Classifier, trial: Trial, images: Tensor, side: int, draw: Generator) -> Tensor:
    """Contrast of two views, of composites with both of their sources, and the penalty."""
    mild, strong = (make_view(images, side, recipe, draw) for recipe in (MILD, STRONG))
    count = len(images)
    if trial.arm == "no synthesis":
        both = functional.normalize(model(torch.cat([mild, strong])), dim=1)
        return nt_xent(*both.split(count), temperature=TEMPERATURE, decoupled=False)
    made = pairs_of(mild, draw)
    rows = functional.normalize(model(torch.cat([mild, strong, made.images])), dim=1)
    first, second, mixed = rows.split([count, count, len(made)])
    total = nt_xent(first, second, temperature=TEMPERATURE, decoupled=False)
    total = total + multi_positive(mixed, first, made.sources, temperature=TEMPERATURE)
    if trial.arm in GUIDED:
        ours, theirs = gradients(model, made, first)
        total = total + trial.weight * mix_penalty(trial.arm, ours, theirs, made.masks)
    return total


def pairs_of(images: Tensor, draw: Generator) -> Composites:
    """A composite of picture `i` and picture `i + n/2`, of a kind drawn at random."""
    first = torch.arange(len(images) // 2)
    return compose(images, torch.stack([first, first + len(first)], dim=1), draw)


def gradients(model: Classifier, made: Composites, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Of each composite the gradients of its scores for its first and second source.

    Args:
        model: the encoder.
        made: composites.
        rows: `(n, d)` unit rows of the pictures that they are made of.
    """
    first, second = (rows[each].detach() for each in made.sources.unbind(dim=1))

    def score(pixels: Tensor) -> tuple[Tensor, ...]:
        found = model(pixels)
        return attribution_scores(found, first), attribution_scores(found, second)

    with still_batch_norm(model):
        ours, theirs = input_gradients(score, made.images)
    return ours, theirs


def measure(model: Classifier, images: Tensor) -> dict[str, list[float]]:
    """Of a composite of every pair: average precision of both sources, share of energy inside."""
    made = pairs_of(images, Generator().manual_seed(0))
    with torch.no_grad():
        gallery = functional.normalize(_rows(model, images), dim=1)
        queries = functional.normalize(_rows(model, made.images), dim=1)
    scores = (queries @ gallery.T).numpy()
    truths = made.sources.tolist()
    found = [average_precision(truth_ranks(*each)) for each in zip(scores, truths, strict=True)]
    inside = []
    for rows in torch.arange(len(made)).split(128):
        some = Composites(made.images[rows], made.masks[rows], made.sources[rows])
        ours, theirs = (each.detach() for each in gradients(model, some, gallery))
        inside.append(1 - share_off_target(ours, theirs, some.masks))
    return {"precision": rounded(found), "inside": rounded(torch.cat(inside))}


def _rows(model: Classifier, images: Tensor) -> Tensor:
    return torch.cat([model(part) for part in images.split(256)])


def run(trial: Trial, images: Tensor, scale: Scale) -> Record:
    """Train and measure; a seed divides the photographs in its own way."""
    order = torch.randperm(len(images), generator=Generator().manual_seed(trial.seed))
    sizes = [scale.train, scale.validation, scale.test]
    train, validation, test = (images[rows].float() / 255 for rows in order.split(sizes))
    torch.manual_seed(trial.seed)
    model = Classifier(scale.dimension, scale.widths).train()
    seconds = fit(
        model,
        lambda rows, draw: loss_of(model, trial, train[rows], scale.side, draw),
        trial,
        len(train),
        scale,
    )
    samples = measure(model, test)
    return {
        "validation": float(np.mean(measure(model, validation)["precision"])),
        "figures": {name: float(np.mean(each)) for name, each in samples.items()},
        "samples": samples,
        "cpu_seconds_epoch": seconds,
    }


def plan_of(scale: Scale) -> Plan:
    """What the table shows."""
    return Plan(
        title="Both sources of a composite",
        endpoint="mAP of both",
        statistics={"mAP of both": mean_of("precision"), "energy inside": mean_of("inside")},
        weights=scale.weights,
        elements=3 * scale.side**2,
    )


def main() -> None:
    """Train every arm with every seed, or read what was, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, one weight, few pictures")
    parser.add_argument("--pool", type=Path, help="folder of tar files with index.jsonl")
    arguments = add_options(parser, "both-sources").parse_args()
    scale = QUICK if arguments.quick else FULL
    folder = begin(arguments, asdict(scale) | {"pictures": name_of(arguments.pool)})
    kept = arguments.runs / f"photographs-{scale.side}-{name_of(arguments.pool)}.npy"
    most = FULL.train + FULL.validation + FULL.test
    wanted = trials(scale.seeds, scale.weights, arms=scale.arms)

    @cache
    def images() -> Tensor:
        count = scale.train + scale.validation + scale.test
        return photographs(arguments.pool, kept, most, scale.side)[:count]

    records = run_all(
        folder, wanted, lambda trial: run(trial, images(), scale), only=arguments.seeds
    )
    publish(plan_of(scale), records, folder, arguments.out)


if __name__ == "__main__":
    told(main)
