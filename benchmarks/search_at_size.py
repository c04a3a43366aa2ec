"""Search of large galleries: short codes that propose rows against comparing all, in one run.

Opens a data folder that `attribution ingest` has filled, and makes galleries of any size of its
rows (see `multiplied`). Queries are rows of the encoder's background, which have no source and so
no near row, in sixteens and alone, asked for the 128 best by the encoder's joined score, as for an
answer. Both ways are asked in turn, block by block. Galleries are kept, mapped, in `--galleries`.

    python benchmarks/search_at_size.py --data var --rows 50000 200000 --out search_at_size.json
    python benchmarks/search_at_size.py --data var --rows 1000000 --threads 1
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from circumstances import circumstances
from numpy.typing import NDArray
from search_speed import background_rows

from app.settings import Settings
from attribution.index import Sizing, Stretch
from attribution.index.faiss_structure import Structure
from attribution.opening.gallery import open_gallery
from attribution.opening.load import load_vision
from attribution.retrieval.fusion import Queries, Rows, fusion_of
from attribution.retrieval.scanning import best_of
from models.parts import Part
from models.processor import size_pools

DEPTH, TOGETHER = 128, 16
Places = NDArray[np.int64]
_NEAREST = 10
_MOVED = 0.2, 0.5  # how far along a difference a row is moved
_BLOCK = 8192


def multiplied(rows: Rows, wanted: int, parts: Sequence[Part]) -> Iterator[Rows]:
    r"""Blocks of altogether `wanted` rows: these, then rows made of them and their neighbours.

    .. math:: x = x_i + a (x_j - x_i) + b (x_k - x_l), \quad a, b \sim U(0.2, 0.5)

    each part scaled to the length that its column for hubs leaves it, where :math:`x_j` is one of
    the ten nearest of :math:`x_i` and :math:`x_l` of :math:`x_k`: a made row has real ones around
    it, in the directions in which real ones differ, and its parts differ together.
    """
    rng = np.random.default_rng(0)
    near = _neighbours(rows, rng)
    yield rows[:wanted]
    for start in range(len(rows), wanted, _BLOCK):
        n = min(_BLOCK, wanted - start)
        one, other = rng.integers(0, len(rows), (2, n))
        near_one, near_other = (near[each, rng.integers(0, _NEAREST, n)] for each in (one, other))
        a, b = rng.uniform(*_MOVED, (2, n, 1)).astype(np.float32)
        made = rows[one] + a * (rows[near_one] - rows[one])
        made += b * (rows[other] - rows[near_other])
        for part in parts:
            columns = slice(part.start, part.stop - 1)
            made[:, columns] /= np.linalg.norm(made[:, columns], axis=1, keepdims=True)
            of_hubs = rows[:, part.stop - 1]
            made[:, part.stop - 1] = of_hubs[one] + a[:, 0] * (of_hubs[near_one] - of_hubs[one])
        yield made


def _neighbours(rows: Rows, rng: np.random.Generator) -> Places:
    """`(n, 10)` the nearest others of each row, nearly: by 160 random directions."""
    directions = np.linalg.qr(rng.standard_normal((rows.shape[1], 160)))[0].astype(np.float32)
    short = rows @ directions
    short /= np.linalg.norm(short, axis=1, keepdims=True)
    near = np.empty((len(rows), _NEAREST), np.int64)
    for start in range(0, len(rows), 1024):
        scores = short[start : start + 1024] @ short.T
        scores[np.arange(len(scores)), np.arange(start, start + len(scores))] = -np.inf
        near[start : start + 1024] = np.argpartition(-scores, _NEAREST, axis=1)[:, :_NEAREST]
    return near


def gallery(rows: Rows, wanted: int, parts: Sequence[Part], out: Path) -> tuple[Rows, ...]:
    """Each part's `(wanted, d')` rows, mapped; made where they are not there yet."""
    folder = out / str(wanted)
    files = [folder / f"{part.name}.npy" for part in parts]
    if not all(file.exists() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        arrays = [
            np.lib.format.open_memmap(
                file.with_suffix(".partial"), "w+", np.float32, (wanted, part.dimension)
            )
            for file, part in zip(files, parts, strict=True)
        ]
        start = 0
        for block in multiplied(rows, wanted, parts):
            for array, part in zip(arrays, parts, strict=True):
                array[start : start + len(block)] = block[:, part.columns]
            start += len(block)
        for array, file in zip(arrays, files, strict=True):
            array.flush()
            file.with_suffix(".partial").rename(file)
    return tuple(np.asarray(np.load(file, mmap_mode="r")) for file in files)


def ask(stretch: Stretch, asked: Queries, together: int) -> tuple[Places, list[float], list[float]]:
    """What is found, and seconds and processor seconds a query of each block."""
    found, clock, used = [], [], []
    for start in range(0, len(asked), together):
        some = asked.take(slice(start, start + together))
        started, before = time.perf_counter(), time.process_time()
        found.append(best_of(some, (stretch,), DEPTH).ids)
        clock.append((time.perf_counter() - started) / len(some))
        used.append((time.process_time() - before) / len(some))
    return np.concatenate(found), clock, used


def share_found(wanted: Places, found: Places) -> float:
    """Share of the wanted ids, row by row, that were found."""
    pairs = zip(wanted, found, strict=True)
    return float(np.mean([np.isin(one, other).mean() for one, other in pairs]))


def measure(parts: tuple[Rows, ...], named: tuple[Part, ...], asked: Queries) -> dict[str, Any]:
    """Both ways over one gallery."""
    sizing = Sizing()
    started, before = time.perf_counter(), time.process_time()
    structure = Structure.build(parts, named, sizing)
    build = {"seconds": time.perf_counter() - started, "processor": time.process_time() - before}
    ids = np.arange(len(parts[0]))
    flat = Stretch(ids, parts, None)
    coded = Stretch(ids, parts, None, structure, sizing.nominated(DEPTH))
    row: dict[str, Any] = {
        "rows": len(ids),
        "build": build,
        "recall_at_10_on_own_rows_worst_part": structure.recall_at_10,
        "resident_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    for name, together, some in (("of_16", TOGETHER, asked), ("alone", 1, asked.take(slice(16)))):
        best_of(some.take(slice(1)), (coded,), DEPTH), best_of(some.take(slice(1)), (flat,), DEPTH)
        wanted, *exact = ask(flat, some, together)
        found, *codes = ask(coded, some, together)
        for what, ours, theirs in zip(("ms", "processor_ms"), codes, exact, strict=True):
            ours_ms, theirs_ms = 1000 * np.median(ours), 1000 * np.median(theirs)
            row[f"{what}_{name}"] = {"flat": round(theirs_ms, 2), "pq": round(ours_ms, 2),
                                     "times": round(theirs_ms / ours_ms, 2)}  # fmt: skip
        if name == "of_16":
            row |= {f"recall_at_{k}": round(share_found(wanted[:, :k], found), 4)
                    for k in (1, 10, 64, DEPTH)}  # fmt: skip
    return row


def main() -> None:
    """Measure every size and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that ingest has filled")
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--queries", type=int, default=128)
    parser.add_argument("--threads", type=int, default=0, help="0: the cores there are")
    parser.add_argument("--galleries", type=Path, default=Path("galleries"))
    parser.add_argument("--out", type=Path, default=Path("search_at_size.json"))
    options = parser.parse_args()
    settings = Settings(data=options.data)
    vision = load_vision(settings)
    queries = background_rows(vision, options.queries)
    threads = size_pools(options.threads)
    asked = fusion_of(vision.encoder).prepare(queries)
    with open_gallery(settings, vision) as opened:
        rows = opened.index.contents().vectors
    sizes = []
    for wanted in options.rows:
        parts = gallery(rows, wanted, vision.encoder.parts, options.galleries)
        sizes.append(measure(parts, vision.encoder.parts, asked))
        print(json.dumps(sizes[-1]), flush=True)
    document = {
        **circumstances("numpy", "torch", "faiss-cpu"),
        "threads": threads,
        "made_of": len(rows),
        "sizes": sizes,
    }
    options.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
