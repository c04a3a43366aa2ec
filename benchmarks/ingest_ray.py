"""Bulk embedding on Ray: one worker against two, and both against `attribution ingest` as it is.

On pictures that are drawn here, each way into a catalog of its own, in turn, so that only ratios
within one run mean something; and those only where so many cores are free. Seconds are from the
first source that was written to the last one: what Ray and the encoder take to start is told apart.

    python benchmarks/ingest_ray.py --pictures 20000 --out ingest_ray.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.cli.bulk import ingest_on_ray
from app.settings import Settings
from attribution.catalog import Catalog, SourceFilter
from attribution.ingestion import IngestReport, Progress, ingest, read_manifest
from attribution.opening.load import load_by_engine
from models.encoder import Encoder
from models.processor import usable_cores

PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds until the first source was written and from there to the end, and how many a second.

    `pictures_per_second` are those after the first batch.
    """

    start: float
    rest: float
    pictures_per_second: float


def draw(folder: Path, count: int, side: int) -> None:
    """Photographs of nothing: smooth noise, which takes as long to decode as any."""
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (side // 16, side // 16, 3))
        image = Image.fromarray(noise.astype(np.uint8)).resize((side, side), Image.BICUBIC)
        image.save(folder / f"{number:06}.jpg", quality=90)


def timed(work: Callable[[Callable[[Progress], None]], IngestReport], count: int) -> Took:
    """One way from beginning to end."""
    began = time.perf_counter()
    first: list[tuple[float, int]] = []

    def on_progress(now: Progress) -> None:
        if now.added and not first:
            first.append((time.perf_counter(), now.added))

    report = work(on_progress)
    ended = time.perf_counter()
    if report.added != count or report.skipped:
        raise RuntimeError(f"{report.added} of {count} were added: {report.skipped[:3]}")
    [(written, batch)] = first
    return Took(written - began, ended - written, (count - batch) / (ended - written))


def rows_of(data: Path, encoder: Encoder) -> dict[str, Any]:
    """The row of each source by its sha256."""
    rows: dict[str, Any] = {}
    with Catalog.open(data) as catalog:
        cursor = None
        while True:
            page = catalog.sources(SourceFilter(), limit=1000, cursor=cursor)
            vectors = catalog.embeddings(
                encoder.model_id, [source.vector_id for source in page.items]
            )
            rows |= {source.sha256: row for source, row in zip(page.items, vectors, strict=True)}
            cursor = page.next_cursor
            if cursor is None:
                return rows


def measure(folder: Path, count: int, workers: list[int], batch: int, name: str) -> dict[str, Any]:
    """Every way in turn."""
    took: dict[str, Took] = {}
    rows: dict[str, dict[str, Any]] = {}
    encoder = load_by_engine(Settings(data=folder / "none", encoder=name, engine="torch"))
    for way in (PLAIN, *map(str, workers)):
        settings = Settings(data=folder / f"data-{way}", encoder=name, engine="torch")
        with Catalog.open(settings.data) as catalog:

            def work(
                on_progress: Callable[[Progress], None],
                catalog: Catalog = catalog,
                settings: Settings = settings,
                way: str = way,
            ) -> IngestReport:
                found = read_manifest(folder / "pictures")
                if way == PLAIN:
                    return ingest(
                        catalog, encoder, found, batch_size=batch, on_progress=on_progress
                    )
                return ingest_on_ray(
                    catalog,
                    encoder,
                    found,
                    settings,
                    workers=int(way),
                    batch_size=batch,
                    on_progress=on_progress,
                )

            took[way] = timed(work, count)
        rows[way] = rows_of(settings.data, encoder)
        print(f"{way:6} {took[way].pictures_per_second:8.1f} pictures a second")
    rates = {way: each.pictures_per_second for way, each in took.items()}
    first = str(workers[0])
    return {
        "took": {way: asdict(each) for way, each in took.items()},
        f"over_{first}_worker": {way: rates[way] / rates[first] for way in rates},
        "over_plain": {way: rates[way] / rates[PLAIN] for way in rates},
        "largest_difference_of_rows": max(
            float(np.abs(rows[way][sha256] - row).max())
            for way in rows
            for sha256, row in rows[PLAIN].items()
        ),
    }


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--encoder", default="bundled")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pictures").mkdir()
        draw(folder / "pictures", given.pictures, given.side)
        found = measure(folder, given.pictures, given.workers, given.batch, given.encoder)
    result = {
        "pictures": given.pictures,
        "side": given.side,
        "batch": given.batch,
        "encoder": given.encoder,
        "cores": usable_cores(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "ray": version("ray"),
        **found,
    }
    print(json.dumps(result, indent=2))
    if given.out is not None:
        given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
