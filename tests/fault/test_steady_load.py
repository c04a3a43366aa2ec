"""Under steady load descriptors and threads stay where they are; `make soak` adds memory."""

import sys

import pytest

from tests.fault.steady_load import run_steadily


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_descriptors_and_threads_stay_flat(start):
    service = start(settings={"snapshot_seconds": 0.5})
    service.wait_until_ready()
    seen = run_steadily(service, seconds=4, seed=10)
    assert seen.acknowledged > 0
    # Each client and each of its statements may hold a few of both at the moment of looking.
    assert seen.late.descriptors <= seen.early.descriptors + 10, str(seen)
    assert seen.late.threads <= seen.early.threads + 5, str(seen)
