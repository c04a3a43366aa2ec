"""Several processes on one catalog and one Milvus, one of each role killed under mixed operations.

A small run, always the same; `python benchmarks/roles.py` makes thousands of operations.
"""

import pytest

from tests.fault.role_operations import run
from tests.fault.role_processes import fleet
from tests.support.encoders import make_encoder
from tests.support.milvus import MilvusServer, require

SETTINGS = {"query_rate": 0, "curate_rate": 0, "admin_rate": 0, "lease_seconds": 2}


@pytest.fixture
def milvus(tmp_path):
    require()
    server = MilvusServer(tmp_path / "milvus")
    yield server
    server.stop()


def test_nothing_is_lost_doubled_or_unseen_whichever_of_them_is_killed(
    tmp_path, postgresql, milvus
):
    make_encoder(tmp_path / "encoder", 1)
    settings = SETTINGS | {
        "encoder": tmp_path / "encoder",
        "database_url": postgresql.empty_catalog(),
        "index_url": milvus.url,
        "follow_seconds": 0.3,
    }
    with fleet(tmp_path, settings, replicas=1) as processes:
        figures = run(processes, operations=40, kills=3, seed=3, writers=2, compared=1)
    assert figures.kills == {"api": 1, "indexer": 1, "worker": 1}
    assert set(figures.decisions) == {"attributed", "no_source_found"}, figures
    assert len(figures.operations) > 5, figures
    assert figures.queries
    assert max(figures.takeovers) < 60
