"""Answers a second: the service, an app written in an afternoon, and the encoder without either.

All on the rows of one data folder, in one run, each number of connections in turn for both, so that
only ratios between them mean something. The service's answers hold p-values and shares; the app's
(`benchmarks/peers/afternoon.py`) are bare cosines. Queries are crops of sources, saved again.

    python benchmarks/rates.py --data var --images photographs/ --out rates.json
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from circumstances import circumstances
from PIL import Image
from service_load import START_SECONDS, Service, make_queries, send, serving

from models import load_encoder
from models.processor import size_pools

BATCH = 8
AFTERNOON = Path(__file__).parent / "peers" / "afternoon.py"


@contextmanager
def afternoon(data: Path) -> Iterator[Service]:
    """The app on a free port, ready, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(AFTERNOON), "--data", str(data), "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command) as process:
        try:
            _wait(address, process)
            yield Service(address, process.pid)
        finally:
            process.send_signal(signal.SIGINT)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"{address}/openapi.json", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the app did not become ready")


def encoder_rate(queries: Sequence[bytes], seconds: float) -> float:
    """Queries a second of the encoder alone, decoded beforehand, in batches."""
    encoder = load_encoder("bundled")
    images = [Image.open(io.BytesIO(query)).convert("RGB") for query in queries]
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    encoder.encode(batches[0], domain="query")
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for batch in batches:
            encoder.encode(batch, domain="query")
            done += len(batch)
    return done / (time.perf_counter() - started)


def rate(service: Service, queries: Sequence[bytes], connections: int, requests: int) -> Any:
    """What came of a load, after as many requests unmeasured as there are connections."""
    for count in (connections, requests):
        load, _ = asyncio.run(send(service, queries, requests=count, connections=connections))
    return load.summary()


def measure(options: argparse.Namespace, queries: Sequence[bytes]) -> dict[str, Any]:
    """Both under each number of connections, in turn, several times over; then the encoder."""
    rounds: dict[int, list[dict[str, Any]]] = {count: [] for count in options.connections}
    with (
        serving(options.data, "bundled") as service,
        afternoon(options.data) as app,
    ):
        asyncio.run(send(service, queries, requests=len(queries), connections=1))
        sources = httpx.get(f"{service.address}/v1/index", timeout=30).json()["vectors"]
        for _ in range(options.rounds):
            for count in options.connections:
                ours = rate(service, queries, count, options.requests)
                rounds[count].append({
                    "service": ours,
                    "afternoon": rate(app, queries, count, options.requests),
                })  # fmt: skip
    alone = encoder_rate(queries, options.seconds)
    return {
        "sources": sources,
        "encoder_a_second": round(alone, 1),
        "connections": {count: _medians(each, alone) for count, each in rounds.items()},
        "rounds": rounds,
    }


def _medians(rounds: Sequence[dict[str, Any]], alone: float) -> dict[str, Any]:
    def median(whose: str, *keys: str) -> float:
        values = []
        for each in rounds:
            value: Any = each[whose]
            for key in keys:
                value = value[key]
            values.append(value)
        return float(np.median(values))

    ours, theirs = (median(whose, "images_per_second") for whose in ("service", "afternoon"))
    p50, p99 = (median("service", "milliseconds", key) for key in ("p50", "p99"))
    return {
        "service_a_second": ours,
        "afternoon_a_second": theirs,
        "times_afternoon": round(ours / theirs, 2),
        "of_encoder": round(ours / alone, 2),
        "service_p50_ms": p50,
        "service_p99_over_p50": round(p99 / p50, 2),
        "errors": sum(each[whose]["errors"] for each in rounds for whose in each),
    }


def main() -> None:
    """Measure, print the medians and write everything as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that ingest has filled")
    parser.add_argument("--images", type=Path, required=True, help="what queries are cut from")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--requests", type=int, default=400, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=160, help="different images among them")
    parser.add_argument("--seconds", type=float, default=10.0, help="for the encoder alone")
    parser.add_argument("--out", type=Path, default=Path("rates.json"))
    options = parser.parse_args()
    threads = size_pools()
    queries = make_queries(options.images, options.queries)
    result = measure(options, queries)
    report = {
        **circumstances("torch", "faiss-cpu", "fastapi", "uvicorn", threads=threads),
        "reference": "both services of the same run, in turn; the encoder after them",
        **result,
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    shown = {key: report[key] for key in ("sources", "encoder_a_second", "connections")}
    print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
