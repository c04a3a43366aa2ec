"""Two api, two workers and two indexers on PostgreSQL and Milvus Lite, killed as they work.

Every process is `attribution serve --role ...` of its own, on loopback; so are PostgreSQL and
`milvus-lite server`. Writers add, change, delete, take down, make and cancel jobs and ask, each
through any api or worker, while one process after the other gets `kill -9` and is started again.
Checked throughout: no source and no result of a job is lost, doubled or back, and a query that asks
for the generation of the last write sees it. In the end every process must give the answers of a
service with an index of its own on the same catalog, to the last bit. The encoder is a tiny one:
what is looked at are the processes. Needs a checkout, PostgreSQL's programs and the extra `dev`.

    python benchmarks/roles.py --operations 10000 --kills 12 --out roles.json
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from circumstances import circumstances

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.fault.role_operations import Figures, run  # noqa: E402
from tests.fault.role_processes import fleet  # noqa: E402
from tests.support import postgresql  # noqa: E402
from tests.support.encoders import make_encoder  # noqa: E402

HOST = "127.0.0.1"


def commanded(arguments: list[str], variables: Mapping[str, str], log: Path) -> subprocess.Popen:
    """`attribution ARGUMENTS`, as anybody starts it."""
    known = {name: value for name, value in os.environ.items() if "ATTRIBUTION" not in name}
    with log.open("a") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", *arguments],
            cwd=ROOT,
            env={**known, "OMP_NUM_THREADS": "1", **variables},
            stdout=file,
            stderr=file,
        )


@contextmanager
def milvus(folder: Path) -> Iterator[str]:
    """The address of a `milvus-lite server`, which ends with the block."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port = listener.getsockname()[1]
    where = ["--data-dir", str(folder / "milvus"), "--host", HOST, "--port", str(port)]
    command = [str(Path(sys.executable).with_name("milvus-lite")), "server", *where]
    with (folder / "milvus.log").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
                break
            except OSError as error:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError((folder / "milvus.log").read_text()) from error
                time.sleep(0.1)
        yield f"http://{HOST}:{port}"
    finally:
        process.kill()
        process.wait()


def summary(figures: Figures, seconds: float) -> dict[str, Any]:
    """What the run has seen, as JSON."""
    return {
        "seconds": round(seconds, 1),
        "operations": dict(figures.operations.most_common()),
        "operations_done": figures.done,
        "in_doubt_at_a_kill": figures.in_doubt,
        "put_off": dict(figures.put_off),
        "kills": dict(figures.kills),
        "takeover_seconds": [round(each, 1) for each in figures.takeovers],
        "queries_that_asked_for_the_last_write": len(figures.queries),
        "query_milliseconds": _percentiles([1000 * each for each in figures.queries]),
        "job_images": figures.job_images,
        "sources_held": figures.held,
        "sources_deleted": figures.deleted,
        "answers_compared": figures.compared,
        "decisions": dict(figures.decisions),
    }


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{q}": round(float(np.percentile(values, q)), 1) for q in (50, 95, 99, 100)}


def main() -> None:
    """Start everything, operate and kill, compare, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("roles.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "locks").mkdir()
        make_encoder(folder / "encoder", 1)
        with postgresql.shared_server(folder / "locks") as server, milvus(folder) as url:
            settings = {
                "encoder": folder / "encoder",
                "database_url": server.empty_catalog(),
                "index_url": url,
                "query_rate": 0,
                "curate_rate": 0,
                "admin_rate": 0,
                "follow_seconds": 0.1,
                "max_active_jobs": 1000,
            }
            with fleet(folder, settings, start=commanded) as processes:
                started = time.monotonic()
                figures = run(
                    processes,
                    operations=options.operations,
                    kills=options.kills,
                    seed=options.seed,
                    writers=options.writers,
                    compared=6,
                    told=lambda words: print(words, file=sys.stderr, flush=True),
                )
                seconds = time.monotonic() - started
    report = {
        **circumstances("torch", "pymilvus", "milvus-lite", "psycopg"),
        "options": {key: str(value) for key, value in vars(options).items()},
        **summary(figures, seconds),
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
