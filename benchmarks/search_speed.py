"""Search alone, in milliseconds a query that waits with others: all rows at once, or proposals.

Opens a data folder that `attribution ingest` has filled, and asks it for rows of the encoder's
background. Both ways run in one process; they should give the same ids and bits of every score.

    python benchmarks/search_speed.py --data var --out search_speed.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from circumstances import circumstances

from app.settings import Settings
from attribution.index import EmbeddedIndex
from attribution.opening.gallery import OpenedGallery, open_gallery
from attribution.opening.load import Vision, load_vision
from attribution.retrieval.retrieval import retrieve
from models.processor import size_pools

DEPTH = 128  # candidates that an answer rests on


class Proposing:
    """The same index as if its rows were not at hand: every part and view proposes candidates."""

    def __init__(self, index: EmbeddedIndex) -> None:
        self._index = index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def scanned(self, k: int, **_: object) -> None:
        """Nothing is at hand."""


def milliseconds(work: Callable[[], object], queries: int, rounds: int) -> float:
    """The median of some rounds, a query."""
    work()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return round(1000 * float(np.median(seconds)) / queries, 3)


def measure(gallery: OpenedGallery, rows: np.ndarray, waiting: int, rounds: int) -> dict[str, Any]:
    """Both ways for so many queries that wait, and whether they agree."""
    asked = gallery.calibration.reference.fusion.prepare(rows[:waiting])
    proposing: Any = Proposing(gallery.index)
    at_once, proposed = (retrieve(index, asked, DEPTH) for index in (gallery.index, proposing))
    one = milliseconds(lambda: retrieve(gallery.index, asked, DEPTH), waiting, rounds)
    other = milliseconds(lambda: retrieve(proposing, asked, DEPTH), waiting, rounds)
    return {
        "waiting": waiting,
        "all_rows_at_once_ms": one,
        "proposed_ms": other,
        "times_faster": round(other / one, 2),
        "same_ids": bool(np.array_equal(at_once.ids, proposed.ids)),
        "same_bits": bool(np.array_equal(at_once.scores, proposed.scores)),
    }


def background_rows(vision: Vision, count: int) -> np.ndarray:
    """Some rows of the encoder's background, to be asked for: queries without source."""
    if vision.background is None:
        raise SystemExit("this encoder has no background, whose rows are the queries here")
    order = np.random.default_rng(0).permutation(len(vision.background.rows))
    return np.ascontiguousarray(vision.background.rows[order[:count]])


def main() -> None:
    """Measure each number of waiting queries, print and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that ingest has filled")
    parser.add_argument("--waiting", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=0, help="0: the cores there are")
    parser.add_argument("--out", type=Path, default=Path("search_speed.json"))
    options = parser.parse_args()
    settings = Settings(data=options.data)
    vision = load_vision(settings)
    rows = background_rows(vision, max(options.waiting))
    threads = size_pools(options.threads)
    with open_gallery(settings, vision) as gallery:
        sources = gallery.index.stats().vectors
        table = [measure(gallery, rows, each, options.rounds) for each in options.waiting]
    report = {
        **circumstances("numpy", "torch"),
        "threads": threads,
        "sources": sources,
        "reference": "candidates proposed by every part and view of the same index, same run",
        "search": table,
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
