"""Whether an Infomax term is worth anything beside contrast, settled by a test of equivalence.

    python benchmarks/infomax.py DATA [--out runs/infomax] [--bases sscd residual]

One embedding z = W g, compared by cosine, where g is the unit descriptor of a base: SSCD's 512
columns, and the pooled last stage (384) of the project's network, trained from scratch by contrast
without Infomax (1,200 steps, batch 64, three seeds). W starts as the identity and is trained, for
60 steps of 256 images and without a projector, by contrast plus a weight times a term of each
view by itself. Everything is trained, fitted and chosen on pool images outside the bench.

Arms: the base; contrast alone; contrast with a log-determinant, with KoLeo and with ICA; ZCA; CCA;
CCA after each of the four; MoCo's and DINO's alignment with and without the log-determinant.
Learning rate, temperature, weight and the ridges of the closed forms are chosen by mean average
precision of held-out mixtures, once a kind of base (on its first one), for every arm by itself:
rate and temperature of contrast alone, and with that temperature rate and weight of a term. MoCo
and DINO take SimCLR's.

Endpoint, named before the first run: the difference in mean average precision between contrast
with a term and contrast alone of the same steps and batches, paired by query, run and base,
averaged over clean, laundered and disguised queries and then over the three sets of DATA/bench.
Half of the queries of both large sets, all sources and 2,000 distractors compete. Five runs a base.
Bootstrap over bases, runs and connected components of the query-source graph. Equivalent: both
one-sided tests at 5 % refuse a difference of .01 or more, which is that the 90 % interval lies
within (-.01, .01). The same is asked of CCA after either.

What is done is not repeated. SSCD needs the extra `sscd`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import torch
from infomax_choice import FORMS, RATES, TERMS, Choice, FormKind, closed_form, mapped
from infomax_linear import Alignment, Knobs, Term, train_map
from infomax_rows import (
    BaseRows,
    describe_base,
    make_pixels,
    outside_images,
    smaller,
)
from infomax_table import Found, markdown, summary
from PIL import Image
from torch import Tensor

from attribution.evaluation.benchmark.cases import Benchmark
from attribution.evaluation.benchmark.formats import read_benchmark
from attribution.evaluation.benchmark.treatments import CONDITIONS
from attribution.evaluation.ranks.diagnostics import cross_covariance
from attribution.evaluation.ranks.methods import Method, OfGallery, Rows
from attribution.evaluation.ranks.protocol import evaluate
from attribution.evaluation.ranks.rankings import distinct_ranks
from attribution.measures import average_precision
from attribution.training.run.spread import effective_rank
from models.heads import AffineMap, linear_identity
from models.loading import load_encoder

KINDS = {"sscd": 1, "residual": 3}
"""Kinds of base, and how many there are of each."""
SEEDS = range(5)
OTHERS: tuple[tuple[Alignment, Term], ...] = (
    ("moco", "none"),
    ("moco", "logdet"),
    ("dino", "none"),
    ("dino", "logdet"),
)
OTHER_SEEDS = range(1)
SPREAD_OVER = 2_048  # images outside the bench that the effective rank is of


@dataclass(frozen=True, slots=True)
class Kept:
    """A describer whose rows are there already: the gallery's first, then each condition's."""

    rows: Iterator[Rows]
    name: str = "kept"

    def __call__(self, images: Iterable[Image.Image]) -> Rows:
        """The next rows; nothing is read."""
        del images
        return next(self.rows)


class MapScorer:
    """Cosine after some maps, one after the other, each of which ends on the unit sphere."""

    def __init__(self, maps: Sequence[AffineMap]) -> None:
        self._maps = maps
        self._sources = OfGallery(lambda rows: mapped(maps, torch.from_numpy(rows)).numpy())

    def __call__(self, queries: Rows, gallery: Rows, truth: Sequence[tuple[int, ...]]) -> Rows:
        """See `Scorer`."""
        del truth
        scores: Rows = (
            mapped(self._maps, torch.from_numpy(queries)).numpy() @ self._sources(gallery).T
        )
        return scores


class Base:
    """One base: its rows, and the runs on it, each kept in a file."""

    def __init__(self, folder: Path, rows: BaseRows, benchmark: Benchmark, choice: Choice) -> None:
        self._folder, self._rows, self._choice = folder, rows, choice
        self._benchmark = benchmark
        self._trained = cache(partial(train_map, rows))

    def arms(self) -> dict[str, list[Found]]:
        """What was found of every arm, by seed."""
        rows, choice = self._rows, self._choice
        found = {"base": [self._measured("base", lambda: [linear_identity(rows.dimension)])]}
        for form in FORMS:
            head = partial(self._form, form, choice.ridge(form))
            found[form] = [self._measured(form, head)]
        for seed in SEEDS:
            for term in TERMS:
                knobs, ridge = choice.knobs(term), choice.ridge("cca", term)
                maps = partial(self._maps, knobs, seed)
                after = partial(self._maps, knobs, seed, ridge)
                found.setdefault(term, []).append(self._measured(f"{term}-{seed}", maps))
                run = self._measured(f"{term}+cca-{seed}", after)
                found.setdefault(f"{term}+cca", []).append(run)
        for seed in OTHER_SEEDS:
            for alignment, term in OTHERS:
                maps = partial(self._maps, choice.knobs(term, alignment), seed)
                run = self._measured(f"{alignment}-{term}-{seed}", maps)
                found.setdefault(f"{alignment}, {term}", []).append(run)
        return found

    def _form(self, kind: FormKind, ridge: float) -> list[AffineMap]:
        return [closed_form(kind, (), self._rows, ridge)]

    def _maps(self, knobs: Knobs, seed: int, ridge: float | None = None) -> list[AffineMap]:
        """The trained map, with CCA after it where a ridge is given."""
        maps = [self._trained(knobs, seed)]
        return maps if ridge is None else [*maps, closed_form("cca", maps, self._rows, ridge)]

    def _measured(self, name: str, make: Callable[[], list[AffineMap]]) -> Found:
        """A run's figures on the bench and beside it; made if they are not there yet."""
        path = self._folder / "runs" / f"{name}.json"
        if not path.exists():
            started = time.perf_counter()
            maps = make()
            trained = time.perf_counter()
            rows = self._rows
            found = measure(maps, rows.gallery, rows.queries, rows.images, self._benchmark)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(asdict(found)))
            print(
                f"{path}: {trained - started:.0f} s and {time.perf_counter() - trained:.0f} s: "
                f"{found.endpoint_of(self._benchmark.ranked):.4f}",
                flush=True,
            )
        return Found(**json.loads(path.read_text()))


def measure(
    maps: Sequence[AffineMap],
    gallery: Tensor,
    queries: Mapping[str, Tensor],
    images: Tensor,
    benchmark: Benchmark,
) -> Found:
    """Ranks of the bench by the cosine of mapped rows, and what the rows outside are like."""
    cases = benchmark.ranked
    given = [gallery, *(queries[name] for name in CONDITIONS)]
    describer = Kept(iter([each.numpy() for each in given]))
    method = Method("map", describer, MapScorer(maps))
    ranked = evaluate(benchmark, [method], conditions=tuple(CONDITIONS))
    precisions = {
        ranking.condition: [
            average_precision(distinct_ranks(case, ranks), ranked.cut)
            for case, ranks in zip(cases, ranking.ranks, strict=True)
        ]
        for ranking in ranked.rankings
    }
    columns = {picture.key: place for place, picture in enumerate(benchmark.gallery)}
    pairs = [(row, columns[t.key]) for row, case in enumerate(cases) for t in case.truths]
    first, second = torch.tensor(pairs).unbind(dim=1)
    crossed = cross_covariance(
        mapped(maps, queries["clean"][first]).numpy(),
        mapped(maps, gallery[second]).numpy(),
    )
    spread = effective_rank(mapped(maps, images[:SPREAD_OVER]))
    return Found(precisions, spread, crossed.asymmetry, crossed.positivity)


def train_base(kind: str, number: int, outside: Path, out: Path) -> str:
    """The name, or the folder, of a base's encoder; trained if it is missing."""
    if kind != "residual":
        return kind
    run = out / f"b64-{number}"
    if not (run / "encoder").is_dir():
        told = f"--seed {number} --steps 1200 --batch 64 --head none"
        told += " --background-generated 0 --background-laundered 0"
        command = [sys.executable, "-m", "app.cli.main", "train", str(outside), "--out", str(run)]
        subprocess.run([*command, *told.split()], check=True)
    return str(run / "encoder")


def main() -> None:
    """Make what is missing, print the tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/infomax"))
    parser.add_argument("--bases", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    parser.add_argument("--seeds", type=int, help="of each kind of base that has several, at most")
    options = parser.parse_args()
    benchmark = smaller(read_benchmark(options.data / "bench", distractors=options.data / "pool"))
    outside = outside_images(options.data / "pool", options.out / "outside")
    pixels = make_pixels(benchmark, outside, options.out / "pixels")
    table = {}
    for kind in options.bases:
        bases: list[dict[str, list[Found]]] = []
        choice: Choice | None = None
        for number in range(min(KINDS[kind], options.seeds or KINDS[kind])):
            encoder = load_encoder(train_base(kind, number, outside, options.out))
            folder = options.out / (f"{kind}-{number}" if KINDS[kind] > 1 else kind)
            rows = describe_base(encoder, pixels, folder / "rows")
            choice = choice or Choice(folder / "chosen.json", rows, RATES[kind])
            bases.append(Base(folder, rows, benchmark, choice).arms())
        if choice is not None:
            table[kind] = summary(bases, benchmark.ranked) | {"held out": choice.tried.figures}
            print(f"{kind}\n{markdown(table[kind])}")
    (options.out / "infomax.json").write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
