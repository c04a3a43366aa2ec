"""How much the bench flatters an encoder that was trained on the images that compete in it.

    python benchmarks/flattery.py DATA [--out runs/flattery] [--steps 2400]

An encoder of the bundled shape learns from scratch, fits its heads and takes its reference rows
from one half of the distractors and from nothing else. The bench is then ranked twice: all sources
and the half that it has seen, all sources and the half that it has not. The halves are drawn within
each set, but one may still be harder: the bundled encoder, which has seen both alike, tells by how
much.

Endpoint, named before the run: mean average precision against the half seen less that against the
other, averaged over clean, laundered and disguised queries and then over the three sets, less the
same difference of the bundled encoder. Bootstrap over connected components of the query-source
graph. A run of 2,400 steps of 64 images sees each picture 21 times; the bundled encoder saw each 38
times in its two runs, beside as many other pictures.

What is done is not repeated; the run is resumed.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from infomax import Kept
from infomax_table import mean_of_sets
from numpy.typing import NDArray
from PIL import Image

from attribution.evaluation.benchmark.cases import Benchmark, Picture
from attribution.evaluation.benchmark.formats import read_benchmark
from attribution.evaluation.benchmark.treatments import CONDITIONS, treated_queries
from attribution.evaluation.ranks.methods import Method, PooledDescriber, Rows, encoder_method
from attribution.evaluation.ranks.protocol import evaluate
from attribution.evaluation.ranks.rankings import distinct_ranks
from attribution.evaluation.statistics.bootstrap import resampled_over_runs
from attribution.measures import average_precision
from models.loading import load_encoder

HALVES = ("seen", "unseen")
Halves = tuple[frozenset[str], frozenset[str]]


def halves_of(pool: Path) -> Halves:
    """Names of the distractors, each set split in two by seed 0."""
    rows = [json.loads(line) for line in (pool / "index.jsonl").read_text().splitlines()]
    by_set: dict[str, list[str]] = {}
    for row in rows:
        if row["distractor"]:
            by_set.setdefault(row["set"], []).append(row["file"])
    rng, seen, unseen = random.Random(0), set[str](), set[str]()
    for _, names in sorted(by_set.items()):
        drawn = sorted(names)
        rng.shuffle(drawn)
        seen.update(drawn[: len(drawn) // 2])
        unseen.update(drawn[len(drawn) // 2 :])
    return frozenset(seen), frozenset(unseen)


def write_half(pool: Path, names: frozenset[str], folder: Path) -> Path:
    """The pool's images of these names as files, unless they are there."""
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}-partial")
    partial.mkdir(parents=True, exist_ok=True)
    for shard in sorted(pool.glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                name, file = Path(member.name).name, tar.extractfile(member)
                if name in names and file is not None:
                    (partial / name).write_bytes(file.read())
    return partial.rename(folder)


def train(images: Path, run: Path, steps: int) -> Path:
    """The run's encoder, trained if it is missing."""
    if not (run / "encoder").is_dir():
        told = f"--recipe bundled --steps {steps} --batch 64 --held-out 0 --head-images 12000"
        told += " --background-generated 0 --background-laundered 0"
        command = [sys.executable, "-m", "app.cli.main", "train", str(images), "--out", str(run)]
        subprocess.run([*command, *told.split()], check=True)
    return run / "encoder"


class Described:
    """Pooled rows of everything in the bench under one encoder, made once."""

    def __init__(self, method: Method, benchmark: Benchmark) -> None:
        self._method = method
        self._benchmark = benchmark
        self._sources = self._rows(picture.load() for picture in benchmark.sources)
        self._distractors = self._rows(picture.load() for picture in benchmark.distractors)
        self._queries = [rows for name in CONDITIONS for rows in self._of_queries(name)]

    def _rows(self, images: Iterator[Image.Image]) -> Rows:
        return self._method.describer(images)

    def _of_queries(self, condition: str) -> Iterator[Rows]:
        cases = self._benchmark.ranked
        yield self._rows(treated_queries(cases, condition))
        if self._method.mirrored:
            yield self._rows(treated_queries(cases, condition, mirrored=True))

    def precisions(self, kept: Sequence[int]) -> NDArray[np.float64]:
        """`(conditions, cases)` average precision where only these distractors compete."""
        places = list(kept)
        chosen: list[Picture] = [self._benchmark.distractors[place] for place in places]
        bench = replace(self._benchmark, distractors=tuple(chosen))
        gallery = np.concatenate([self._sources, self._distractors[places]])
        method = replace(self._method, describer=Kept(iter([gallery, *self._queries])))
        ranked = evaluate(bench, [method], conditions=tuple(CONDITIONS))
        return np.array(
            [
                [
                    average_precision(distinct_ranks(case, ranks), ranked.cut)
                    for case, ranks in zip(bench.ranked, ranking.ranks, strict=True)
                ]
                for ranking in ranked.rankings
            ]
        )


def measured(name: str, benchmark: Benchmark, halves: Halves) -> NDArray[np.float64]:
    """`(halves, conditions, cases)` average precision of an encoder."""
    method = encoder_method(load_encoder(name))
    assert isinstance(method.describer, PooledDescriber)
    described = Described(method, benchmark)
    files = [Path(each.key.removeprefix("distractor:")).name for each in benchmark.distractors]
    return np.stack(
        [
            described.precisions([place for place, file in enumerate(files) if file in half])
            for half in halves
        ]
    )


def main() -> None:
    """Train on one half, rank against either, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/flattery"))
    parser.add_argument("--steps", type=int, default=2_400)
    options = parser.parse_args()
    pool, out = options.data / "pool", options.out
    halves = halves_of(pool)
    images = write_half(pool, halves[0], out / "seen")
    encoder = train(images, out / "run", options.steps)
    benchmark = read_benchmark(options.data / "bench", distractors=pool)
    figures = {
        "trained on half": measured(str(encoder), benchmark, halves),
        "bundled": measured("bundled", benchmark, halves),
    }
    table = summary(figures, benchmark) | {"steps": options.steps, "images": len(halves[0])}
    (out / "flattery.json").write_text(json.dumps(table, indent=1))
    print(json.dumps(table, indent=1))


def summary(figures: dict[str, NDArray[np.float64]], benchmark: Benchmark) -> dict[str, object]:
    """Levels against either half, and their differences with 95 % intervals."""
    cases = benchmark.ranked
    lost = {name: values[0] - values[1] for name, values in figures.items()}
    lost["flattery"] = lost["trained on half"] - lost["bundled"]
    levels = {
        name: {
            half: {
                condition: mean_of_sets(values[which, row], cases)
                for row, condition in enumerate(CONDITIONS)
            }
            for which, half in enumerate(HALVES)
        }
        for name, values in figures.items()
    }
    differences = {}
    for name, values in lost.items():
        of = {each: values[row] for row, each in enumerate(CONDITIONS)}
        of["mean"] = values.mean(axis=0)
        differences[name] = {
            each: {
                "difference": mean_of_sets(numbers, cases),
                "95 %": np.quantile(
                    resampled_over_runs(numbers[None, None], cases), [0.025, 0.975]
                ).tolist(),
            }
            for each, numbers in of.items()
        }
    return {"mAP": levels, "seen less unseen": differences}


if __name__ == "__main__":
    main()
