"""A service killed at random moments of mixed writes: nothing acknowledged is lost.

A few cycles, always the same; `make soak` runs hundreds with another seed each time.
"""

from tests.fault.kill_cycles import run_cycles


def test_what_was_acknowledged_survives_and_what_was_deleted_stays_away(tmp_path):
    figures = run_cycles(tmp_path, cycles=5, seed=10)
    assert figures.cycles == 5
    assert len(figures.acknowledged) > 5, figures
