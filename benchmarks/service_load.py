"""Throughput, waiting times and memory of the real service under concurrent queries.

Starts `attribution serve` as a process on a fresh gallery of the bundled photographs and crops of
them (or of a folder), asks every distinct query once alone, then sends the load from one connection
and from several. Every answer under load must be the answer given alone: same sources, scores
within 1e-4. Times are only compared within the run.

    python benchmarks/service_load.py --requests 2000 --connections 16 --out service_load.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from circumstances import circumstances
from PIL import Image, ImageDraw, ImageFont

from attribution.ingestion import ManifestRow, read_manifest
from attribution.synthesis import bundled_photographs

ATTRIBUTION = [sys.executable, "-m", "app.cli.main"]
TOLERANCE = 1e-4
TOP_K = 10
START_SECONDS = 180.0
MOMENTS = ("start", "quarter", "half", "three_quarters", "end")


@dataclass(frozen=True, slots=True)
class Service:
    """A served gallery and the process that serves it."""

    address: str
    pid: int

    def resident_megabytes(self) -> float:
        """Memory that the process holds now (Linux: VmRSS)."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
        return round(int(found[1]) / 1024, 1) if found else float("nan")


@dataclass(frozen=True, slots=True)
class Asked:
    """How much load to put on."""

    requests: int
    connections: int


@dataclass(slots=True)
class Load:
    """What came of one load: seconds of each answer, and what was not as it should be."""

    connections: int
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    wall: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Throughput in images a second, latency in milliseconds."""
        waits = np.array(self.seconds or [np.nan]) * 1000
        percentiles = {f"p{q}": round(float(np.percentile(waits, q)), 1) for q in (50, 95, 99)}
        return {
            "connections": self.connections,
            "requests": len(self.seconds) + len(self.errors),
            "images_per_second": round(len(self.seconds) / self.wall, 2),
            "milliseconds": percentiles,
            "errors": len(self.errors),
            "different_answers": len(self.different),
            "examples": (self.errors + self.different)[:5],
        }


def make_gallery(folder: Path, sources: int) -> None:
    """Write the bundled photographs, then random crops of them, until there are `sources`."""
    folder.mkdir(parents=True)
    photographs = bundled_photographs()
    rng = np.random.default_rng(0)
    for number in range(sources):
        photo = photographs[number % len(photographs)]
        image = photo.image
        if number >= len(photographs):
            image = crop(image, rng, share=0.5)
        image.thumbnail((512, 512))
        image.save(folder / f"{number:05d}-{photo.name}.jpg", quality=90)


def make_queries(images: Path, count: int) -> list[bytes]:
    """Crops of sources, laundered: `count` different JPEG files."""
    rows = [row for row in read_manifest(images) if isinstance(row, ManifestRow)]
    rng = np.random.default_rng(1)
    queries = []
    for number in range(count):
        with Image.open(rows[number * len(rows) // count].path) as image:
            view = crop(image.convert("RGB"), rng, share=0.8)
        with tempfile.SpooledTemporaryFile() as file:
            view.save(file, "JPEG", quality=70)
            file.seek(0)
            queries.append(file.read())
    return queries


def crop(image: Image.Image, rng: np.random.Generator, *, share: float) -> Image.Image:
    """A window of `share` of each side at a random place."""
    width, height = (max(32, round(side * share)) for side in image.size)
    left, top = (
        int(rng.integers(0, max(1, a - b + 1)))
        for a, b in zip(image.size, (width, height), strict=True)
    )
    return image.crop((left, top, left + width, top + height))


@contextmanager
def serving(data: Path, encoder: str) -> Iterator[Service]:
    """`attribution serve` on a free port, ready and calibrated, until the block ends."""
    log = (data.parent / "service.log").open("w+", encoding="utf-8")
    command = [*ATTRIBUTION, "serve", "--port", "0", "--data", str(data), "--encoder", encoder]
    with log, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log) as process:
        try:
            yield Service(_ready(process, Path(log.name)), process.pid)
        finally:
            process.send_signal(signal.SIGINT)


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        found = re.search(r"running on (http://\S+)", log.read_text(encoding="utf-8"))
        if found and httpx.get(f"{found[1]}/readyz", timeout=30).is_success:
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"the service did not become ready: {log.read_text(encoding='utf-8')}")


async def send(
    service: Service,
    queries: Sequence[bytes],
    *,
    requests: int,
    connections: int,
    expected: Sequence[dict[str, float]] | None = None,
    after: Callable[[int], None] | None = None,
) -> tuple[Load, list[dict[str, float]]]:
    """POST `requests` queries in turn from `connections` connections.

    Args:
        service: where to.
        queries: sent in turn, again and again.
        requests: how many in all.
        connections: each has one request under way at a time.
        expected: score of each source for each query, to compare answers with.
        after: called with the number of requests that have ended so far.

    Returns:
        The load, and the last answer to each query as `source_id -> score`.
    """
    load = Load(connections)
    answers: list[dict[str, float]] = [{} for _ in queries]
    numbers = iter(range(requests))
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)

    async def connection(client: httpx.AsyncClient) -> None:
        for number in numbers:
            place = number % len(queries)
            started = time.perf_counter()
            try:
                response = await client.post(
                    "/v1/attributions", params={"top_k": TOP_K}, files={"file": queries[place]}
                )
                response.raise_for_status()
            except httpx.HTTPError as error:
                load.errors.append(f"request {number}: {type(error).__name__}: {error}")
            else:
                load.seconds.append(time.perf_counter() - started)
                sources = response.json()["sources"]
                answers[place] = {source["source_id"]: source["score"] for source in sources}
                if expected is not None and not same(answers[place], expected[place]):
                    load.different.append(f"request {number} (query {place})")
            if after is not None:
                after(len(load.seconds) + len(load.errors))

    started = time.perf_counter()
    async with httpx.AsyncClient(base_url=service.address, timeout=120, limits=limits) as client:
        await asyncio.gather(*(connection(client) for _ in range(connections)))
    load.wall = time.perf_counter() - started
    return load, answers


def same(found: dict[str, float], alone: dict[str, float]) -> bool:
    """Every score within the tolerance; at the end of the list near-ties may change places."""
    last = min(alone.values(), default=0.0)
    common = found.keys() & alone.keys()
    others = [found.get(key, alone.get(key, 0.0)) for key in found.keys() ^ alone.keys()]
    return all(abs(found[key] - alone[key]) <= TOLERANCE for key in common) and all(
        abs(score - last) <= TOLERANCE for score in others
    )


def measure(service: Service, queries: Sequence[bytes], load: Asked) -> dict[str, Any]:
    """Alone, then one connection, then several; memory on the way of the last."""
    _, alone = asyncio.run(send(service, queries, requests=len(queries), connections=1))
    few = max(len(queries), load.requests // 4)
    single, _ = asyncio.run(send(service, queries, requests=few, connections=1, expected=alone))
    memory = {MOMENTS[0]: service.resident_megabytes()}
    stops = {load.requests * part // 4: MOMENTS[part] for part in range(1, 5)}

    def remember(done: int) -> None:
        if done in stops:
            memory[stops[done]] = service.resident_megabytes()

    several, _ = asyncio.run(send(service, queries, **asdict(load), expected=alone, after=remember))
    one, many = single.summary(), several.summary()
    index = httpx.get(f"{service.address}/v1/index", timeout=30).json()
    return {
        "index": {key: index[key] for key in ("kind", "vectors", "model_id", "calibration")},
        "one_connection": one,
        "several_connections": many,
        "times_faster": round(many["images_per_second"] / one["images_per_second"], 2),
        "resident_megabytes": memory,
        "latencies_ms": sorted(round(1000 * seconds, 1) for seconds in several.seconds),
    }


def draw(result: dict[str, Any], path: Path) -> None:
    """Latency by percentile above, resident memory below, as a picture."""
    sheet = Image.new("RGB", (720, 560), (250, 250, 248))
    pen = ImageDraw.Draw(sheet)
    many = result["several_connections"]
    waits = result["latencies_ms"]
    title = (
        f"{many['requests']} requests from {many['connections']} connections: "
        f"{many['images_per_second']} images a second, {result['times_faster']} x one connection"
    )
    pen.text((20, 12), title, fill=(30, 30, 34), font=ImageFont.load_default(15))
    percent = np.linspace(0, 100, len(waits)).tolist()
    _curve(sheet, (70, 60, 690, 290), percent, waits, "latency in ms by percentile")
    memory = result["resident_megabytes"]
    share = [100 * MOMENTS.index(moment) / 4 for moment in memory]
    _curve(sheet, (70, 340, 690, 520), share, list(memory.values()), "resident MB by % of requests")
    sheet.save(path)


def _curve(
    sheet: Image.Image,
    box: tuple[int, int, int, int],
    xs: Sequence[float],
    ys: Sequence[float],
    title: str,
) -> None:
    left, top, right, bottom = box
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    highest = max(ys, default=1.0) * 1.1 or 1.0
    pen.text((left, top - 18), title, fill=(30, 30, 34), font=font)
    for step in range(5):
        y = bottom - (bottom - top) * step / 4
        pen.line((left, y, right, y), fill=(220, 220, 216))
        pen.text((8, y - 7), f"{highest * step / 4:.0f}", fill=(120, 120, 126), font=font)
        x = left + (right - left) * step / 4
        pen.text((x - 8, bottom + 4), f"{25 * step}", fill=(120, 120, 126), font=font)
    points = [
        (left + (right - left) * x / 100, bottom - (bottom - top) * y / highest)
        for x, y in zip(xs, ys, strict=True)
    ]
    if len(points) > 1:
        pen.line(points, fill=(60, 90, 200), width=2)


def main() -> None:
    """Make or take the gallery, serve it, measure, write JSON and picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=2000, help="from all connections together")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--queries", type=int, default=40, help="different images among them")
    parser.add_argument("--sources", type=int, default=200, help="size of the gallery made")
    parser.add_argument("--images", type=Path, help="folder to hold instead of the photographs")
    parser.add_argument("--encoder", default="bundled")
    parser.add_argument("--out", type=Path, default=Path("service_load.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images, data = options.images or Path(folder) / "images", Path(folder) / "data"
        if options.images is None:
            make_gallery(images, options.sources)
        ingest = [*ATTRIBUTION, "ingest", str(images), "--data", str(data)]
        subprocess.run([*ingest, "--encoder", options.encoder], check=options.images is None)
        queries = make_queries(images, options.queries)
        with serving(data, options.encoder) as service:
            result = measure(service, queries, Asked(options.requests, options.connections))
    report = {
        **circumstances("torch", "faiss-cpu", "fastapi", "uvicorn"),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "options": {key: str(value) for key, value in vars(options).items()},
        "reference": "each query asked alone before the load, in the same run",
        **result,
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    draw(result, options.out.with_suffix(".png"))
    shown = {key: value for key, value in result.items() if key != "latencies_ms"}
    print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
