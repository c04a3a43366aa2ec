"""Half an hour of load, and ten times as much of it as can be answered."""

from tests.fault.overload import overloaded, unloaded
from tests.fault.steady_load import run_steadily

PAUSE = 0.1


def test_steady_load_needs_no_more_and_more(start, seed, option, report):
    service = start(settings={"snapshot_seconds": 5.0})
    service.wait_until_ready()
    seen = run_steadily(service, seconds=60 * option("--minutes"), seed=seed)
    report(seen)
    assert seen.late.descriptors <= seen.early.descriptors + 5
    assert seen.late.threads <= seen.early.threads + 3
    # What the allocator keeps varies a little; a leak of half an hour is more than a tenth.
    assert seen.late.bytes <= 1.1 * seen.early.bytes


def test_ten_times_capacity(start, report):
    service = start(
        pause=PAUSE, settings={"queue_limit": 2, "max_batch_images": 2, "max_inference_batch": 1}
    )
    service.wait_until_ready()
    alone = unloaded(service, 100)
    together = overloaded(service, rate=10 * alone.rate, seconds=30, clients=20)
    report(f"unloaded: {alone}; ten times as many: {together}")
    assert not alone.others + together.others
    assert together.median < 3 * alone.median
    assert together.p99 < 10 * alone.median
    assert together.median_refusal < alone.median
