"""A service killed in the middle of a job goes on where it was: no image twice, none lost.

A small job; `make soak` has one of 5,000 images.
"""

from tests.fault.long_job import check_each_once, results_after_kills

IMAGES = 200


def test_killed_three_times_a_job_has_every_result_once(start, tmp_path):
    service = start(pause=0.004)
    check_each_once(results_after_kills(service, images=IMAGES, kills=3), IMAGES)
    assert [path.name for path in (tmp_path / "data" / "jobs").iterdir()] == [".lock"]
