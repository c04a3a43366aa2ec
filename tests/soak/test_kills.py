"""Hundreds of ``kill -9`` under mixed writes, and a long job killed three times."""

import time

from tests.fault.kill_cycles import run_cycles
from tests.fault.long_job import check_each_once, results_after_kills


def test_random_kills_under_mixed_writes(tmp_path, seed, option, report):
    minutes = option("--kill-minutes")
    until = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    figures = run_cycles(
        tmp_path, cycles=option("--kills"), seed=seed, until=until, progress=report
    )
    report(figures)


def test_a_long_job_killed_three_times(start, tmp_path, option, report):
    images = option("--job-images")
    service = start()
    check_each_once(results_after_kills(service, images=images, kills=3), images)
    assert [path.name for path in (tmp_path / "data" / "jobs").iterdir()] == [".lock"]
    report(f"{images} images, killed three times: {images} results, each image once")
