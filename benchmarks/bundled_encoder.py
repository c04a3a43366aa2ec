"""Makes the bundled encoder again: holds the background out, then runs `attribution train`.

    python benchmarks/bundled_encoder.py POOL [--out runs/bundled]

POOL holds tar shards of images and `index.jsonl` with a row an image: `file`, `set`,
`copy_of_gallery`. Of the sets pacs and dtd10, which hold no gallery image, 5,200 images that are
no copies are drawn with seed 0 and never trained on: they become the background.
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


def held_out(pool: Path) -> list[str]:
    """Names of the background images, sorted."""
    rows = [json.loads(line) for line in (pool / "index.jsonl").read_text().splitlines()]
    fit = sorted(
        row["file"] for row in rows if row["set"] in BACKGROUND_SETS and not row["copy_of_gallery"]
    )
    random.Random(0).shuffle(fit)
    return sorted(fit[:BACKGROUND_SIZE])


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
    command += ["--background", str(names), "--name", "bundled", "--head-images", "12000"]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
