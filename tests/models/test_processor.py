"""The cores that may be used are those that affinity and container quotas leave; pools follow."""

import os

import pytest
import torch
from threadpoolctl import threadpool_info

from attribution.index.faiss_structure import faiss
from models import processor
from models.processor import size_pools, size_pools_to_come, usable_cores


@pytest.fixture
def many_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)


def control(tmp_path, own, files):
    for name, text in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "own").write_text(own)
    return tmp_path / "cgroup", tmp_path / "own"


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3),
        ("0::/not/here\n", {"cpu.max": "400000 100000\n"}, 4),
        (
            "3:cpu,cpuacct:/a\n2:memory:/a\n",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "500000\n",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
            },
            5,
        ),
        (
            "1:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            16,
        ),
        ("0::/\n", {"cpu.max": "garbage"}, 16),
    ],
)
@pytest.mark.usefixtures("many_cores")
def test_a_quota_leaves_fewer_cores(tmp_path, own, files, cores):
    assert usable_cores(*control(tmp_path, own, files)) == cores


@pytest.mark.usefixtures("many_cores")
def test_without_control_groups_affinity_counts(tmp_path):
    assert usable_cores(tmp_path / "none", tmp_path / "neither") == 16


def test_where_there_is_no_affinity_all_cores_count(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert usable_cores(tmp_path / "none", tmp_path / "neither") == 7


def test_pools_to_come_are_sized_unless_the_operator_has(monkeypatch):
    monkeypatch.setattr(processor, "usable_cores", lambda: 3)
    for name in (*processor._POOLS, "OPENBLAS_THREAD_TIMEOUT"):
        monkeypatch.setenv(name, "20")
        monkeypatch.delenv(name)
    size_pools_to_come()
    assert {os.environ[name] for name in processor._POOLS} == {"3"}
    assert os.environ["OPENBLAS_THREAD_TIMEOUT"] == "4"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.setenv("OPENBLAS_THREAD_TIMEOUT", "26")
    size_pools_to_come()
    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert os.environ["OPENBLAS_THREAD_TIMEOUT"] == "26"


def test_every_pool_that_is_loaded_is_sized(monkeypatch):
    before = torch.get_num_threads()
    try:
        assert size_pools(3) == 3
        assert torch.get_num_threads() == 3
        assert {pool["num_threads"] for pool in threadpool_info()} == {3}
        assert faiss.omp_get_max_threads() == 3
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        assert size_pools() == 2
        monkeypatch.delenv("OMP_NUM_THREADS")
        assert size_pools() == usable_cores()
    finally:
        size_pools(before)
