"""Workers on Ray: batches are blocks of a Ray Data stream, each worker is an actor.

The one module that imports Ray, and it does so when it is used.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from attribution.ingestion.bulk.driver import Batch, Workers
from attribution.ingestion.bulk.held import Held
from attribution.ingestion.bulk.worker import Orders, Result, Worker
from attribution.ingestion.shards import Shard, rows_in
from models.processor import usable_cores

_BLOCK = 1 << 20
"""Bytes after which what came out of a tar file is handed on."""
_MOST_TOGETHER = 1 << 26
"""Bytes of pictures of a tar file in one batch; one picture may be more."""
_SHARE_OF_READER = 0.5


class RayUnusable(RuntimeError):
    """Ray does not start, is not reached, or its workers fail; the message says what to do."""


@contextmanager
def ray_workers(
    workers: int | None = None, *, batch_size: int = 64, cores: int = 1
) -> Iterator[Workers]:
    """Workers on the cluster that RAY_ADDRESS names, or on this machine where it names none.

    Args:
        workers: how many; None for as many as there are cores for, of a cluster all but one, which
            opens tar files; at least one.
        batch_size: pictures of a tar file a batch.
        cores: of each.

    Raises:
        ImportError: the extra is not installed.
        RayUnusable: it does not start, or is not reached.
    """
    # Both are read when it is imported: nothing is reported to its makers, and workers without a
    # GPU see what they would see without Ray.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray  # noqa: PLC0415  # an extra
        import ray.data  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "ingesting on Ray needs the extra `ray`: pip install 'attribution[ray]'"
        ) from error
    here = workers or max(1, usable_cores() // cores)
    started = not ray.is_initialized()
    if started:
        _start(ray, here * cores + 1)
    try:
        room = int(ray.cluster_resources().get("CPU", 0))
        yield partial(_results, workers or max(1, (room - 1) // cores), batch_size)
    finally:
        if started:
            ray.shutdown()


def _start(ray: Any, cores: int) -> None:
    address = os.environ.get("RAY_ADDRESS")
    own = {} if address else {"include_dashboard": False, "num_cpus": cores}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="warning", **own)
    except Exception as error:  # of many kinds, plain Exception among them
        reason = str(error).partition("\n")[0]
        raise RayUnusable(
            f"Ray cannot be reached at RAY_ADDRESS={address}: {reason}"
            if address
            else f"Ray does not start here: {reason} Start it with `ray start --head`, and set "
            "RAY_ADDRESS=auto"
        ) from error


def _results(
    number: int, batch_size: int, orders: Orders, held: Held, work: Sequence[Batch | Shard]
) -> Iterator[list[Result]]:
    import ray  # noqa: PLC0415

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = True  # as the rows come, so sources are written
    context.target_max_block_size = _BLOCK
    data = ray.data.from_items(
        [{"batch": pickle.dumps(each)} for each in work], override_num_blocks=len(work)
    )
    if any(isinstance(each, Shard) for each in work):
        opener = partial(_opened, batch_size, orders.limits.max_bytes, orders.folder)
        data = data.map_batches(opener, batch_size=1, num_cpus=_SHARE_OF_READER, concurrency=number)
    data = data.map_batches(
        _Actor,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=number),
        num_cpus=orders.threads_that_compute,
        num_gpus=1 if orders.device.startswith("cuda") else 0,
        fn_constructor_args=[orders, ray.put(held.numbers)],
    )
    try:
        for block in data.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
            for written in block["results"]:
                yield pickle.loads(written)  # noqa: S301  # what our own workers wrote
    except ray.exceptions.RayError as error:
        raise RayUnusable(
            f"a worker failed: {_cause(error)}; what was written is kept, and the same command "
            "goes on from there"
        ) from error


class _Actor:
    """A worker in a process of Ray."""

    def __init__(self, orders: Orders, numbers: Any) -> None:
        import ray  # noqa: PLC0415

        self._worker = Worker(orders, Held(ray.get(numbers)))

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        return _column("results", block["batch"], self._worker)


def _column(name: str, pickled: Any, work: Callable[[Any], object]) -> dict[str, Any]:
    values = np.empty(len(pickled), object)
    for place, each in enumerate(pickled):
        values[place] = pickle.dumps(work(pickle.loads(each)))  # noqa: S301  # ours
    return {name: values}


def _opened(
    batch_size: int, max_bytes: int, folder: Path, block: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Batches as they are, and those of tar files, which are read as they go."""
    for pickled in block["batch"]:
        work = pickle.loads(pickled)  # noqa: S301  # ours
        batches = iter([work])
        if isinstance(work, Shard):
            batches = _batches_of(work, batch_size, max_bytes, folder)
        for batch in batches:
            yield _column("batch", [pickle.dumps(batch)], lambda same: same)


def _batches_of(shard: Shard, batch_size: int, max_bytes: int, folder: Path) -> Iterator[Batch]:
    batch: list[Any] = []
    size = 0
    for row in rows_in(shard, max_bytes=max_bytes, folder=folder):
        batch.append(row)
        size += len(getattr(row, "content", None) or b"")
        if len(batch) == batch_size or size >= _MOST_TOGETHER:
            yield tuple(batch)
            batch, size = [], 0
    if batch:
        yield tuple(batch)


def _cause(error: BaseException) -> str:
    """What a worker said last, without where."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = [line for line in str(error).splitlines() if line.strip()]
    return said[-1].strip() if said else type(error).__name__
