"""What each ingredient of the method is worth: losses, views and heads, from scratch, by seeds.

    python benchmarks/ablation.py DATA --out runs/ablation [--steps 120] [--seeds 3]

Trains the bundled architecture {plain, synthesis-aware views} x {none, logdet, ica} x seeds, fits
the heads {none, whiten, cca} on each, and ranks DATA/bench clean and laundered, all sources and
distractors competing. A run that is done is not repeated, and one that was killed is resumed.

Trained from scratch for a hundred steps or so at 48 pixels and measured at 64, far below the
bundled encoder: differences count here, not levels. Heads have one part and read what is learnt
only, so that neither outlines nor the fusion of parts hide what a loss does. Intervals are over
connected components of the query-source graph, of average precisions averaged over seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from bundled_encoder import held_out

from attribution.evaluation.benchmark.cases import Benchmark
from attribution.evaluation.benchmark.formats import read_benchmark
from attribution.evaluation.benchmark.treatments import CONDITIONS
from attribution.evaluation.ranks.baselines import HeadScorer
from attribution.evaluation.ranks.methods import Method, PooledDescriber
from attribution.evaluation.ranks.protocol import evaluate
from attribution.evaluation.ranks.rankings import distinct_ranks
from attribution.evaluation.statistics.bootstrap import mean_intervals, paired_difference
from attribution.measures import average_precision
from attribution.training.data.images import ImageSet, read_images
from attribution.training.heads.fitting import fit_parts
from attribution.training.recipe.config import ResolutionStage, TrainingConfig
from attribution.training.recipe.plans import PartPlan
from attribution.training.run.trainer import Trainer
from models.backbones.residual import ResidualNet
from models.card import BackboneCard, Card, PartCard
from models.encoder import Encoder
from models.heads import AffineMap, Head, HeadPart
from models.images.preprocessing import Preprocessing

Views = Literal["plain", "synthesis-aware"]
Loss = Literal["none", "logdet", "ica"]
VIEWS: tuple[Views, ...] = ("plain", "synthesis-aware")
LOSSES: tuple[Loss, ...] = ("none", "logdet", "ica")
HEADS = ("none", "whiten", "cca")
WEIGHTS = {"none": 0.0, "logdet": 0.1, "ica": 0.1}
SIDE = 64
COMPONENTS = 384


@dataclass(frozen=True)
class Run:
    """One training."""

    views: Views
    loss: Loss
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.views}-{self.loss}-{self.seed}"


def train(run: Run, images: ImageSet, folder: Path, steps: int) -> ResidualNet:
    """The averaged network of a run, resumed where it was."""
    config = TrainingConfig(
        seed=run.seed,
        views=run.views,
        disentanglement=run.loss,
        disentanglement_weight=WEIGHTS[run.loss],
        stages=(ResolutionStage(size=48, steps=steps),),
        average=0.99,
        checkpoint_every=50,
    )
    return Trainer(config, images, folder).run()


def methods_of(net: ResidualNet, images: ImageSet, limit: int) -> list[Method]:
    """Every head on one network, sharing its descriptors."""
    shape = Preprocessing(SIDE, SIDE)
    learnt = [part for part in net.blocks_of_descriptor if part.name != "gradients"]
    plans = [
        PartPlan(head, head, ("views",), COMPONENTS, tuple(part.name for part in learnt))
        for head in ("whiten", "cca")
    ]
    columns = torch.arange(learnt[-1].stop)
    raw = AffineMap(torch.zeros(len(columns)), torch.eye(len(columns)), columns)
    parts = (HeadPart("none", raw), *fit_parts(net, images, plans, shape, limit=limit))
    card = Card(
        name="ablation",
        backbone=BackboneCard(name="residual", widths=net.widths, blocks=net.blocks),
        preprocessing=Preprocessing(height=SIDE, width=SIDE),
        parts=(PartCard(name="whole", head="none", dimension=net.dimension),),
    )
    describer = PooledDescriber(Encoder(card, net, Head(net.dimension)))
    return [Method(part.name, describer, HeadScorer(Head(net.dimension, [part]))) for part in parts]


def precisions(
    benchmark: Benchmark, methods: list[Method], conditions: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Average precision of each case, by `head/condition`."""
    found = evaluate(benchmark, methods, conditions=conditions)
    return {
        f"{ranking.method}/{ranking.condition}": np.array(
            [
                average_precision(distinct_ranks(case, ranks), found.cut)
                for case, ranks in zip(found.cases, ranking.ranks, strict=True)
            ]
        )
        for ranking in found.rankings
    }


def measure(run: Run, options: argparse.Namespace, data: Data) -> dict[str, np.ndarray]:
    """What is kept of a run; trained and measured if it is not there yet."""
    folder = options.out / run.name
    kept = folder / "precisions.npz"
    if not kept.exists():
        started = time.perf_counter()
        net = train(run, data.training, folder, options.steps)
        methods = methods_of(net, data.fitting, options.head_images)
        found = precisions(data.benchmark, methods, tuple(options.conditions))
        np.savez(kept, **found)
        print(f"{run.name}: {time.perf_counter() - started:.0f} s", flush=True)
    with np.load(kept) as stored:
        return dict(stored)


@dataclass(frozen=True)
class Data:
    """Everything that is read once."""

    benchmark: Benchmark
    training: ImageSet
    fitting: ImageSet


def read(data: Path) -> Data:
    """The benchmark, and the pool without background at both sizes."""
    pool = data / "pool"
    exclude = frozenset(held_out(pool))
    shards = sorted(pool.glob("*.tar"))
    return Data(
        read_benchmark(data / "bench", distractors=pool),
        read_images(shards, side=96, exclude=exclude),
        read_images(shards, side=SIDE, exclude=exclude),
    )


Averaged = dict[tuple[str, str, str, str], np.ndarray]


def averaged(options: argparse.Namespace, data: Data) -> tuple[Averaged, dict[str, list[float]]]:
    """Average precisions averaged over seeds, by (views, loss, head, condition).

    Also the mean over sets of every single seed.
    """
    together: Averaged = {}
    single: dict[str, list[float]] = {}
    runs: dict[tuple[str, str], list[dict[str, np.ndarray]]] = {}
    for seed, views, loss in product(range(options.seeds), VIEWS, LOSSES):
        runs.setdefault((views, loss), []).append(measure(Run(views, loss, seed), options, data))
    sets = np.array([case.set for case in data.benchmark.ranked])
    for (views, loss), found in runs.items():
        for head, condition in product(HEADS, options.conditions):
            key = f"{head}/{condition}"
            values = np.stack([each[key] for each in found])
            together[views, loss, head, condition] = values.mean(axis=0)
            single[f"{views}/{loss}/{key}"] = [
                float(np.mean([row[sets == name].mean() for name in dict.fromkeys(sets)]))
                for row in values
            ]
    return together, single


def comparisons() -> Iterator[tuple[str, tuple[str, str, str], tuple[str, str, str]]]:
    """What is compared: a name, and (views, loss, head) of both sides."""
    for views in VIEWS:
        alone = (views, "none", "none")
        for loss, head in product(LOSSES, HEADS):
            if (loss, head) != ("none", "none"):
                yield (
                    f"{views}: {loss} + {head} against alignment alone",
                    (views, loss, head),
                    alone,
                )
        for loss, head in product(("logdet", "ica"), ("whiten", "cca")):
            yield (
                f"{views}: {loss} before {head} against {head} alone",
                (views, loss, head),
                (views, "none", head),
            )
    for loss, head in product(LOSSES, HEADS):
        yield (
            f"{loss} + {head}: synthesis-aware against plain views",
            ("synthesis-aware", loss, head),
            ("plain", loss, head),
        )


def main() -> None:
    """Train what is missing, print both tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--conditions", nargs="+", choices=CONDITIONS, default=["clean", "laundered"]
    )
    parser.add_argument("--head-images", type=int, default=5_000)
    options = parser.parse_args()
    data = read(options.data)
    together, single = averaged(options, data)
    cases = data.benchmark.ranked
    rows, differences = [], []
    for (views, loss, head, condition), values in together.items():
        mean = mean_intervals(values, cases).mean
        seeds = single[f"{views}/{loss}/{head}/{condition}"]
        rows.append([views, loss, head, condition, mean.value, mean.low, mean.high, seeds])
        print(
            f"{views:16s}{loss:8s}{head:8s}{condition:11s}{mean.value:.3f} "
            f"[{mean.low:.3f}, {mean.high:.3f}]  seeds {' '.join(f'{s:.3f}' for s in seeds)}"
        )
    for condition, (name, first, second) in product(options.conditions, comparisons()):
        found = paired_difference(together[*first, condition], together[*second, condition], cases)
        mean = found.mean
        differences.append([name, condition, mean.value, mean.low, mean.high])
        verdict = "" if mean.excludes_zero else "  (0 inside)"
        print(
            f"{condition:11s}{mean.value:+.3f} [{mean.low:+.3f}, {mean.high:+.3f}] {name}{verdict}"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    table = {"steps": options.steps, "rows": rows, "differences": differences}
    (options.out / "ablation.json").write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
