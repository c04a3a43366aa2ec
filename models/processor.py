"""How many cores this process may use, and one size for every pool of threads that computes.

torch, BLAS, OpenMP and FAISS each bring a pool of their own, sized by the cores of the machine. A
container that may use two of 64 would run 64 threads on them, several times. Knows no settings.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Threads of OpenBLAS that have nothing to do look for work without a pause for 2 to the power of
# this many cycles: 26 where nothing is said, longer than a search, on cores that the encoder needs.
_IDLE = ("OPENBLAS_THREAD_TIMEOUT", "4")
_CONTROL = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_cores(control: Path = _CONTROL, own: Path = _OWN) -> int:
    """Cores that affinity and the quotas of control groups (both versions) leave; at least 1.

    Args:
        control: where control groups are mounted.
        own: the file that says which this process is in.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, int(min([cores, *_quotas(control, own)])))


def processor_name() -> str:
    """What the processor is called, as far as the system tells."""
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def size_pools_to_come() -> None:
    """Have libraries that come later size their pools by `usable_cores`, and idle without spinning.

    They read the environment when they are loaded, and so do processes that are started later.
    What an operator has set stays.
    """
    if not any(name in os.environ for name in _POOLS):
        os.environ.update(dict.fromkeys(_POOLS, str(usable_cores())))
    os.environ.setdefault(*_IDLE)


def size_pools(threads: int = 0) -> int:
    """Give every pool that is loaded this many threads, 0 for `usable_cores`; say how many.

    An operator's OMP_NUM_THREADS stays where nothing else is asked for.
    """
    import torch  # noqa: PLC0415 - whoever only counts cores needs none of it
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    if not threads:
        given = os.environ.get("OMP_NUM_THREADS", "")
        threads = int(given) if given.isdecimal() and int(given) else usable_cores()
    torch.set_num_threads(threads)
    threadpool_limits(limits=threads)
    if "faiss" in sys.modules:  # its OpenMP may be another than torch's
        sys.modules["faiss"].omp_set_num_threads(threads)
    return threads


def _quotas(control: Path, own: Path) -> Iterator[float]:
    """Cores that each control group around this process may use."""
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2: one tree
            for folder in _around(control, path):
                quota, _, period = _text(folder / "cpu.max").partition(" ")
                yield from _cores(quota, period)
        elif "cpu" in controllers.split(","):
            for folder in _around(control / controllers, path):
                quota = _text(folder / "cpu.cfs_quota_us")
                yield from _cores(quota, _text(folder / "cpu.cfs_period_us"))


def _around(root: Path, path: str) -> Iterator[Path]:
    """A group's folder and those above it; a container often sees its own as the root."""
    folder = root / path.lstrip("/")
    while folder != root:
        yield folder
        folder = folder.parent
    yield root


def _cores(quota: str, period: str) -> Iterator[float]:
    if quota.strip().isdecimal() and period.strip().isdecimal() and int(period):
        yield int(quota) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
