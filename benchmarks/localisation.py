"""How well heat maps and region maps show which part of a composite is from which image.

Composites are made of images that the encoder has not seen; `--only` names those of IMAGES that
may be used, one a line, such as the background images held out of training. Other candidates are
random images. Figures are means with 95 % bootstrap intervals over composites.

    python benchmarks/localisation.py photographs/ --only held-out.txt --out localisation.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from attribution.evaluation.composites import KINDS, make_composites
from attribution.evaluation.localisation import FIGURES, intervals, localise
from attribution.training.data.images import member_names, read_pictures
from models import load_encoder


def main() -> None:
    """Make the composites, explain each, print means and write them."""
    arguments = _arguments()
    names = member_names(arguments.images)
    if arguments.only is not None:
        names &= frozenset(arguments.only.read_text().splitlines())
    needed = 2 * arguments.count * len(KINDS) + arguments.candidates
    chosen = np.random.default_rng(arguments.seed).permutation(sorted(names))[:needed]
    images = list(enumerate(read_pictures(arguments.images, frozenset(chosen.tolist()))))
    composites = make_composites(
        [(str(number), image) for number, image in images],
        arguments.count,
        candidates=arguments.candidates,
        seed=arguments.seed,
    )
    encoder = load_encoder(arguments.encoder)
    started = time.perf_counter()
    found = [localise(encoder, each) for each in composites]
    seconds = (time.perf_counter() - started) / len(composites)
    figures = intervals(composites, found)
    print(f"{'':10}", *(f"{figure:>24}" for figure in FIGURES))
    for kind in KINDS:
        cells = (figures[figure][kind] for figure in FIGURES)
        print(f"{kind:10}", *(f"{c.value:9.3f} [{c.low:.3f}, {c.high:.3f}]" for c in cells))
    document = {
        "encoder": encoder.model_id,
        "composites_of_each_kind": arguments.count,
        "candidates": arguments.candidates,
        "seconds_each": round(seconds, 3),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "figures": {
            figure: {kind: asdict(interval) for kind, interval in kinds.items()}
            for figure, kinds in figures.items()
        },
    }
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(document, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", type=Path, nargs="+", help="folders or tar files")
    parser.add_argument("--only", type=Path, help="text file of the names that may be used")
    parser.add_argument("--count", type=int, default=100, help="composites of each kind")
    parser.add_argument("--candidates", type=int, default=5)
    parser.add_argument("--encoder", default="bundled")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
