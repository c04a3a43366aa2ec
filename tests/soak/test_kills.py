"""Hundreds of ``kill -9`` under mixed writes, and a long job killed three times."""

import time

from tests.fault.kill_cycles import run_cycles


def test_random_kills_under_mixed_writes(forks, tmp_path, seed, option, report):
    minutes = option("--kill-minutes")
    until = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    figures = run_cycles(
        forks, tmp_path, cycles=option("--kills"), seed=seed, until=until, progress=report
    )
    report(figures)
