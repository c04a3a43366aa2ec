"""Makes the bundled encoder again: holds the background out, then trains the first run further.

    python benchmarks/bundled_encoder.py POOL [--out runs/bundled]

POOL holds tar shards of images and `index.jsonl` with a row an image: `file`, `set`,
`copy_of_gallery`. Of the sets pacs and dtd10, which hold no gallery image, 5,200 images that are
no copies are drawn with seed 0 and never trained on: they become the background. The weights of
the first run are taken from this repository's history, where the script of that time made them.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

BACKGROUND_SETS = ("pacs", "dtd10")
BACKGROUND_SIZE = 5_200
HERE = Path(__file__).parent
DATA = (
    "20,416 unlabelled photographs, drawings, textures and paintings (caltech101, pacs, clothing, "
    "dtd, an ImageNet sample, bsds500), short side at most 160 px; 5,200 further images of pacs "
    "and dtd are held out as background"
)
FIRST_RUN = "36ff036"  # the commit with the first bundled encoder


def held_out(pool: Path) -> list[str]:
    """Names of the background images, sorted."""
    rows = [json.loads(line) for line in (pool / "index.jsonl").read_text().splitlines()]
    fit = sorted(
        row["file"] for row in rows if row["set"] in BACKGROUND_SETS and not row["copy_of_gallery"]
    )
    random.Random(0).shuffle(fit)
    return sorted(fit[:BACKGROUND_SIZE])


def first_run(folder: Path) -> Path:
    """The first bundled encoder, written to `folder` out of the history."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("encoder.safetensors", "card.json"):
        shown = subprocess.run(
            ["git", "show", f"{FIRST_RUN}:models/bundled/{name}"],
            cwd=HERE,
            capture_output=True,
            check=False,
        )
        if shown.returncode != 0:
            sys.exit(f"commit {FIRST_RUN} is not here: clone the repository with its history")
        (folder / name).write_bytes(shown.stdout)
    return folder


def main() -> None:
    """Write the names held out, then train and fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pool", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/bundled"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = options.out / "background.txt"
    names.write_text("".join(f"{name}\n" for name in held_out(options.pool)))
    shards = [str(shard) for shard in sorted(options.pool.glob("*.tar"))]
    command = ["attribution", "train", *shards, "--out", str(options.out)]
    command += ["--from", str(first_run(options.out / "first"))]
    command += ["--recipe", "bundled", "--held-out", "0"]
    command += ["--background", str(names), "--name", "bundled", "--head-images", "12000"]
    command += ["--data-note", DATA]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
