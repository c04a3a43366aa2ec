"""Queries of the diffusion path from single exemplars, from a gallery to R@K, end to end.

A gallery of the drawn world: exemplars of the ten classes, which the base model does not know, each
on a texture in a pose that no other exemplar has, and pictures of other kinds. The product's own
`attribution generate --generator diffusion --subject image` tunes the base to the exemplars, each a
subject of its own under a name that says nothing, and makes images of it, in contexts of all
exemplars and in none. The bundled encoder ranks the gallery for every image, as `attribution
evaluate` does.

    python benchmarks/generation/single_exemplars.py MODEL [--quick] --out FILE

MODEL is what `base_model.py` has made. With `--quick` a base is trained first where there is none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import torch
from base_model import QUICK as QUICK_BASE
from base_model import train_base
from PIL import Image
from shared import cell, head, line, told
from small_model import DESCRIPTOR
from world import CLASSES, OTHERS, POSES, SIDE, WORLD, Things, render, uncorrelated

from attribution.evaluation.benchmark.formats import read_benchmark
from attribution.evaluation.ranks.methods import encoder_method
from attribution.evaluation.ranks.protocol import evaluate
from attribution.evaluation.ranks.rankings import distinct_ranks
from attribution.evaluation.statistics.bootstrap import clustered_means, components
from attribution.measures import average_precision, recall_at
from attribution.synthesis.context.bank import Source
from models.loading import load_encoder

CONTEXTS: tuple[Source, ...] = ("dataset", "none")
DEPTHS = (1, 5, 10)
_FIRST = "qxjz"  # of a name, in none of the model's words


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is.

    Attributes:
        exemplars: each a subject of its own; at most 96, one a context.
        others: pictures of the gallery that nothing is made from.
        each: images of an exemplar, of each way to draw contexts.
        epochs: of the tuning, which sees every exemplar once in each.
        rate: of the tuning, larger than that for published models, since this one is small.
        steps: of the sampler.
        side: of pictures and images.
    """

    exemplars: int
    others: int
    each: int
    epochs: int
    rate: float = 1e-3
    steps: int = 10
    side: int = SIDE


FULL = Scale(exemplars=24, others=176, each=4, epochs=100)
QUICK = Scale(exemplars=4, others=12, each=2, epochs=2, steps=4)


def draw_gallery(folder: Path, scale: Scale, seed: int = 0) -> tuple[Path, Path]:
    """Folders of the exemplars and of the other pictures, as PNG."""
    rng = np.random.default_rng([50, seed])
    contexts = rng.permutation(WORLD * len(POSES))[: scale.exemplars]
    kinds = np.array(CLASSES)[np.arange(scale.exemplars) % len(CLASSES)]
    textures, poses = np.divmod(contexts, len(POSES))
    names = [_FIRST[number // 26] + ascii_lowercase[number % 26] for number in range(len(kinds))]
    own = _written(folder / "exemplars", Things(kinds, textures, poses), names, scale.side, rng)
    others = uncorrelated(scale.others, OTHERS, rng)
    numbers = [f"{number:03d}" for number in range(scale.others)]
    return own, _written(folder / "others", others, numbers, scale.side, rng)


def _written(
    folder: Path, things: Things, names: list[str], side: int, rng: np.random.Generator
) -> Path:
    shutil.rmtree(folder, ignore_errors=True)  # there may be those of another scale
    folder.mkdir(parents=True)
    for name, pixels in zip(names, render(things, rng), strict=True):
        image = Image.fromarray(pixels)
        if side != SIDE:
            image = image.resize((side, side), Image.Resampling.BICUBIC)
        image.save(folder / f"{name}.png")
    return folder


def make(exemplars: Path, model: Path, context: Source, scale: Scale, out: Path) -> None:
    """`attribution generate`; a folder with part of it is gone on with."""
    told = {
        "generator": "diffusion", "model": model, "subject": "image", "context": context,
        "descriptor": DESCRIPTOR, "each": scale.each, "size": scale.side, "epochs": scale.epochs,
        "learning-rate": scale.rate, "sampler-steps": scale.steps,
    }  # fmt: skip
    options = [part for name, value in told.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "app.cli.main", "generate", str(exemplars), "--out", str(out)]
    subprocess.run([*command, *options], check=True)


def ranked(made: Path, others: Path) -> dict[str, Any]:
    """Recall and average precision with 95 % intervals over exemplars."""
    benchmark = read_benchmark(made, distractors=others)
    result = evaluate(benchmark, [encoder_method(load_encoder())])
    [ranking] = result.rankings
    found = [distinct_ranks(*each) for each in zip(result.cases, ranking.ranks, strict=True)]
    values = {f"R@{depth}": [recall_at(ranks, depth) for ranks in found] for depth in DEPTHS}
    values["mAP"] = [average_precision(ranks, None) for ranks in found]
    groups = components(result.cases)
    means = clustered_means([np.array(each) for each in values.values()], groups)
    return {
        "queries": len(found),
        "exemplars": len(set(groups.tolist())),
        "gallery": len(benchmark.gallery),
        "figures": {
            name: [each.value, each.low, each.high]
            for name, each in zip(values, means, strict=True)
        },
    }


def run(model: Path, folder: Path, scale: Scale) -> dict[str, Any]:
    """Both ways to draw contexts, by one tuning, whose prompts and pictures are the same."""
    exemplars, others = draw_gallery(folder, scale)
    found: dict[str, Any] = {}
    for context in CONTEXTS:
        made, first = folder / context, folder / CONTEXTS[0]
        if not (made / "tuning").exists() and made != first:
            copied = folder / "tuning.part"
            shutil.rmtree(copied, ignore_errors=True)
            shutil.copytree(first / "tuning", copied)
            made.mkdir(exist_ok=True)
            copied.rename(made / "tuning")  # whole or not at all
        make(exemplars, model, context, scale, made)
        found[context] = ranked(made, others)
        print(context, json.dumps(found[context]), flush=True)
    return found


def table(found: Mapping[str, Any]) -> str:
    """Markdown, a line a way to draw contexts."""
    names = list(next(iter(found.values()))["figures"])
    lines = head("contexts", ["images", *names])
    for context, row in found.items():
        cells = [cell(each) for each in row["figures"].values()]
        lines.append(line(f"`{context}`", [str(row["queries"]), *cells]))
    return "\n".join(lines)


def main() -> None:
    """Draw, make, rank, print the table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, nargs="?", help="folder; of --quick there may be none")
    parser.add_argument("--quick", action="store_true", help="few exemplars, hardly tuned")
    for name in ("exemplars", "others", "each", "epochs"):
        parser.add_argument(f"--{name}", type=int, help="another number than that of the scale")
    parser.add_argument("--runs", type=Path, default=Path("runs/generation"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.model is None and not arguments.quick:
        parser.error("give the folder of a model, or --quick")
    model = arguments.model or train_base(QUICK_BASE, arguments.runs / "base-quick")
    scale = QUICK if arguments.quick else FULL
    given = {name: getattr(arguments, name) for name in ("exemplars", "others", "each", "epochs")}
    scale = replace(scale, **{name: count for name, count in given.items() if count is not None})
    name = "single-exemplars-quick" if arguments.quick else "single-exemplars"
    found = run(model, arguments.runs / name, scale)
    print(table(found))
    print(f"{time.process_time():.0f} s of processor time")
    if arguments.out is not None:
        document = {"scale": asdict(scale), "contexts": found}
        arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    told(main)
