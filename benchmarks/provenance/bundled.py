"""Does guidance help the bundled encoder where two pictures are in one?

The bundled encoder is trained further on the pool in two arms that share seed, views, mixtures and
steps: one has the provenance term with the true masks besides. Both get heads and a background in
the same way. Queries are objects of one picture, 10 to 40 % of the area, before another one
(`attribution generate --composite paste`), all made of pictures that no encoder has seen; those and
4,000 images of the pool compete. Maps are judged as by `localisation.py`, on pictures of the pool
that neither arm was trained on.

Endpoint, named before the run: mean average precision of both sources, guided less not guided,
interval over connected queries. Guidance is worth having in `models/bundled` if that is above zero
and R@1 of no set of the bench falls by more than half a point against the same without it.

    python benchmarks/provenance/bundled.py POOL BENCH --out bundled.json

POOL is that of `benchmarks/bundled_encoder.py`, BENCH a folder with `manifest.jsonl`. What is done
is not repeated; a training that was stopped is resumed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from bundled_encoder import held_out  # noqa: E402
from refusals import count, told  # noqa: E402

ARMS = {"further": 0.0, "guided": 3.0}
"""Weight of the provenance term; 3 is the middle of the grid of `both_sources.py`."""
RECIPE = """\
learning_rate: 0.0005
disentanglement: logdet
batch: 64
stages:
  - {{size: 64, steps: {steps}}}
"""
QUERIES, PICTURES, COMPETING, BACKGROUND = 500, 2_000, 4_000, 1_500


def command(*arguments: str | Path) -> None:
    """`attribution ARGUMENTS`, which must succeed, and else has told why not."""
    done = subprocess.run([sys.executable, "-m", "app.cli.main", *map(str, arguments)], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def composites(bench: Path, folder: Path, seed: int) -> Path:
    """A data set of pasted objects, of all pictures of the bench."""
    if not (folder / "manifest.jsonl").exists():
        told = ["--composite", "paste", "--composites", str(QUERIES), "--limit", str(PICTURES)]
        command("generate", bench, "--out", folder, "--seed", str(seed), *told)
    return folder


def competing(pool: Path, path: Path) -> Path:
    """A tar file of images that are the source of nothing."""
    if not path.exists():
        rows = [json.loads(line) for line in (pool / "index.jsonl").read_text().splitlines()]
        names = sorted(row["file"] for row in rows if row["distractor"])
        chosen = frozenset(random.Random(0).sample(names, COMPETING))
        partial = path.with_suffix(".part")
        with tarfile.open(partial, "w") as made:
            for shard in sorted(pool.glob("*.tar")):
                with tarfile.open(shard) as tar:
                    for member in tar:
                        if Path(member.name).name in chosen:
                            made.addfile(member, tar.extractfile(member))
        partial.rename(path)
    return path


def trained(pool: Path, run: Path, weight: float, seed: int, steps: int) -> Path:
    """An arm's encoder."""
    if not (run / "encoder").is_dir():
        run.mkdir(parents=True, exist_ok=True)
        names, recipe = run / "background.txt", run / "recipe.yaml"
        names.write_text("".join(f"{name}\n" for name in held_out(pool)[:BACKGROUND]))
        recipe.write_text(RECIPE.format(steps=steps))
        told = ["--from", "bundled", "--config", recipe, "--seed", str(seed), "--held-out", "0"]
        told += ["--provenance-weight", str(weight), "--background", names, "--name", run.name]
        told += ["--background-generated", "0", "--background-laundered", "0"]
        command("train", *sorted(pool.glob("*.tar")), "--out", run, *told, "--head-images", "4000")
    return run / "encoder"


def evaluated(data: Path, others: Path, encoders: Sequence[Path], out: Path) -> dict[str, Any]:
    """Ranks by the encoders, and the differences of the others from the first one."""
    if not (out / "evaluation.json").exists():
        told = [part for encoder in encoders for part in ("--encoder", str(encoder))]
        command("evaluate", data, "--distractors", others, *told, "--out", out)
    found = json.loads((out / "evaluation.json").read_text())
    return {name: found[name] for name in ("sources", "distractors", "summaries", "differences")}


def decided(data: Path, others: Path, encoder: Path, out: Path) -> dict[str, Any]:
    """How often an encoder's decisions attribute, and rightly."""
    if not (out / "decisions.json").exists():
        told = ["--decisions", "--encoder", encoder, "--gallery", out / "gallery", "--out", out]
        command("evaluate", data, "--distractors", others, *told)
        shutil.rmtree(out / "gallery")
    found = json.loads((out / "decisions.json").read_text())
    return {name: found[name] for name in ("model_id", "power")}


def localised(pool: Path, names: Path, encoder: Path, out: Path) -> dict[str, Any]:
    """How well an encoder's maps show the regions of composites, and what its score rests on."""
    if not out.exists():
        told = ["--only", str(names), "--count", "30", "--encoder", str(encoder), "--out", str(out)]
        shards = map(str, sorted(pool.glob("*.tar")))
        script = str(HERE.parent / "localisation.py")
        subprocess.run([sys.executable, script, *shards, *told], check=True)
    return dict(json.loads(out.read_text()))


def main() -> None:
    """Make the data, train, evaluate, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pool", type=Path)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/provenance/bundled"))
    parser.add_argument("--steps", type=count, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    runs: Path = options.runs
    runs.mkdir(parents=True, exist_ok=True)
    queries = composites(options.bench, runs / "composites", options.seed)
    others = competing(options.pool, runs / "competing.tar")
    arms = [
        trained(options.pool, runs / f"{arm}-{options.seed}", weight, options.seed, options.steps)
        for arm, weight in ARMS.items()
    ]
    report = {
        "weights": ARMS,
        "steps": options.steps,
        "seed": options.seed,
        "composites": evaluated(queries, others, arms, runs / "of-composites"),
        "bench": evaluated(options.bench, others, arms, runs / "of-bench"),
        "decisions": {
            arm: decided(queries, others, encoder, runs / f"decisions-{arm}")
            for arm, encoder in zip(ARMS, arms, strict=True)
        },
        "maps": {
            arm: localised(
                options.pool, encoder.parent / "background.txt", encoder, runs / f"maps-{arm}.json"
            )
            for arm, encoder in zip(ARMS, arms, strict=True)
        },
    }
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    told(main)
