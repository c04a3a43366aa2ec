"""Whether an Infomax term adds anything to contrast when the last two blocks learn.

    python benchmarks/infomax_blocks.py DATA [--out runs/infomax]

After `infomax.py`, where a linear map learns on what bases say: here the last two blocks of the
project's network do (`--scope last-2 --cached-views 1`), as `attribution train` has it, from the
same three bases, without projector: contrast and term see the row that is compared. 100 steps of
64 images at 96 pixels, at the temperature that was chosen there, each image once; they are drawn
from those outside the bench. Five runs a base of each arm, contrast alone, with the
log-determinant and with ICA, of the same batches and views. Learning rate by contrast alone, then
the weight of each term, are chosen on the first base by mean average precision of held-out
mixtures, with a seed of its own.

Endpoint, named before the first run: that of `infomax.py`, the difference in mean average
precision between contrast with the term and contrast alone, with its bootstrap over bases, runs
and components and its margin of .01. What is done is not repeated.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from infomax import KINDS, SEEDS, measure, train_base
from infomax_choice import CHOOSING, WEIGHTS, Tried
from infomax_rows import (
    HELD_OUT,
    Pixels,
    make_pixels,
    mixture_sources,
    outside_images,
    smaller,
    unit_rows,
)
from infomax_table import Found, markdown, summary
from torch import Tensor

from attribution.evaluation.benchmark.cases import Benchmark
from attribution.evaluation.benchmark.formats import read_benchmark
from attribution.evaluation.benchmark.treatments import CONDITIONS
from attribution.training.data.images import ImageSet, read_images
from attribution.training.recipe.config import ResolutionStage, TrainingConfig
from attribution.training.run.batch_norm import estimate_again
from attribution.training.run.building import ENCODER_SIDE
from attribution.training.run.cached_views import VIEWS
from attribution.training.run.monitor import rank_sources
from attribution.training.run.trainer import Trainer
from models.backbones.features import Backbone
from models.encoder import Encoder
from models.heads import linear_identity
from models.images.preprocessing import Preprocessing
from models.loading import load_encoder

Term = Literal["none", "logdet", "ica"]
STEPS, BATCH = 100, 64
STATISTICS = 1_024  # images that batch norms are measured again on
TERMS: tuple[Term, ...] = ("logdet", "ica")
RATES = (2e-4, 1e-3)
SHAPE = Preprocessing(ENCODER_SIDE, ENCODER_SIDE)
COMPARED = (
    ("logdet", "none"),
    ("ica", "none"),
    ("none", "base"),
    ("logdet", "base"),
    ("ica", "base"),
)
"""The first two are the question."""


def recipe(base: Encoder, rate: float, term: Term, weight: float, seed: int) -> TrainingConfig:
    """Of a run: contrast with mixed views on the pooled last stage, and a term if there is one."""
    return TrainingConfig(
        seed=seed,
        initial=base.model_id,
        stages=(ResolutionStage(size=96, steps=STEPS),),
        batch=BATCH,
        learning_rate=rate,
        warmup=10,
        temperature=0.05,
        projector="none",
        role_weight=0.0,
        disentanglement=term,
        disentanglement_weight=weight,
        scope="last-2",
        cached_views=1,
        average=0.95,
    )


class Blocks:
    """One base, whose last two blocks learn again and again; what is found is kept in a folder."""

    def __init__(
        self, folder: Path, base: Encoder, images: ImageSet, pixels: Mapping[str, Pixels]
    ) -> None:
        self.base = base
        self._folder, self._images, self._pixels = folder, images, pixels

    def precision(self, config: TrainingConfig) -> float:
        """Mean average precision of held-out mixtures after a run."""
        net = self._trained(config)
        mixtures, images = (self._rows(net, name) for name in ("mixtures", "images"))
        return rank_sources(mixtures, images, mixture_sources().repeat(2, 1))[0]

    def found(self, name: str, config: TrainingConfig | None, benchmark: Benchmark) -> Found:
        """A run's figures on the bench, of the base for None; made if they are not there yet."""
        path = self._folder / f"{name}.json"
        if not path.exists():
            started = time.perf_counter()
            net = self.base.backbone if config is None else self._trained(config)
            gallery, images = self._rows(net, "gallery"), self._rows(net, "images")
            queries = {condition: self._rows(net, condition) for condition in CONDITIONS}
            found = measure([linear_identity(images.shape[1])], gallery, queries, images, benchmark)
            path.write_text(json.dumps(asdict(found)))
            figure = found.endpoint_of(benchmark.ranked)
            print(f"{path}: {time.perf_counter() - started:.0f} s: {figure:.4f}", flush=True)
        return Found(**json.loads(path.read_text()))

    def _rows(self, net: Backbone, name: str) -> Tensor:
        return unit_rows(net, SHAPE, self._pixels[name])

    def _trained(self, config: TrainingConfig) -> Backbone:
        """The network after a run; views of frozen blocks stay for the next run of the seed."""
        scratch = self._folder / "run"
        views = scratch / VIEWS
        for path in scratch.iterdir() if scratch.exists() else ():
            if path != views:
                path.unlink() if path.is_file() else shutil.rmtree(path)
        net = self.base.backbone
        net = Trainer(config, self._images, scratch, initial=net, shape=SHAPE).run()
        some = ImageSet(self._images.pixels[:STATISTICS], self._images.names[:STATISTICS])
        estimate_again(net, some, SHAPE, config.scope, seed=config.seed)
        return net


def drawn_images(outside: Path) -> ImageSet:
    """As many as a run sees, none of those that `infomax_rows` holds out."""
    found = read_images([outside], side=ENCODER_SIDE)
    names = sorted(range(len(found)), key=lambda row: found.names[row])[:-HELD_OUT]
    drawn = torch.randperm(len(names), generator=torch.Generator().manual_seed(3))
    rows = [names[place] for place in drawn[: STEPS * BATCH]]
    return ImageSet(found.pixels[rows], tuple(found.names[row] for row in rows))


class Choice:
    """Rate and weights, chosen on held-out mixtures."""

    def __init__(self, path: Path, blocks: Blocks) -> None:
        self._blocks, self.tried = blocks, Tried(path)
        self.rate = max(RATES, key=lambda rate: self._precision(rate, "none", 0.0))
        self.weights: dict[Term, float] = {"none": 0.0}
        for term in TERMS:
            tried = {weight: self._precision(self.rate, term, weight) for weight in WEIGHTS}
            self.weights[term] = max(tried, key=lambda weight: tried[weight])

    def _precision(self, rate: float, term: Term, weight: float) -> float:
        config = recipe(self._blocks.base, rate, term, weight, CHOOSING)
        measure = partial(self._blocks.precision, config)
        return self.tried.figure(f"{term} {weight:g}, rate {rate:g}", measure)


def main() -> None:
    """Make what is missing, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/infomax"))
    parser.add_argument("--seeds", type=int, default=KINDS["residual"], help="of the base")
    options = parser.parse_args()
    benchmark = smaller(read_benchmark(options.data / "bench", distractors=options.data / "pool"))
    outside = outside_images(options.data / "pool", options.out / "outside")
    pixels = make_pixels(benchmark, outside, options.out / "pixels")
    images = drawn_images(outside)
    bases: list[dict[str, list[Found]]] = []
    choice: Choice | None = None
    for number in range(options.seeds):
        folder = options.out / f"blocks-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        base = load_encoder(train_base("residual", number, outside, options.out))
        blocks = Blocks(folder, base, images, pixels)
        choice = choice or Choice(folder / "chosen.json", blocks)
        found = {"base": [blocks.found("base", None, benchmark)]}
        for seed in SEEDS:
            for term, weight in choice.weights.items():
                config = recipe(base, choice.rate, term, weight, seed)
                run = blocks.found(f"{term}-{seed}", config, benchmark)
                found.setdefault(term, []).append(run)
        bases.append(found)
    table = summary(bases, benchmark.ranked, COMPARED)
    print(markdown(table))
    if choice is not None:
        table |= {"held out": choice.tried.figures}
    (options.out / "blocks.json").write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
