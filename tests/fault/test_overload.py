"""Ten times what a service can answer: it goes on answering as fast, and refuses the rest at once.

Times are compared within the run: the encoder sleeps instead of working, so that the machine's own
load hardly counts, and medians, since one request in twenty may meet whatever else the machine
does. `queue_limit` is what bounds the wait: a request waits for at most so many others, and with 2
in flight for one.
"""

from tests.fault.overload import overloaded, unloaded

PAUSE = 0.15  # seconds an image: long beside what HTTP costs


def test_the_accepted_are_answered_in_time_and_the_rest_refused_at_once(start):
    service = start(
        pause=PAUSE, settings={"queue_limit": 2, "max_batch_images": 2, "max_inference_batch": 1}
    )
    service.wait_until_ready()
    alone = unloaded(service, 15)
    assert not alone.others
    together = overloaded(service, rate=10 * alone.rate, seconds=4, clients=20)
    assert not together.others
    assert len(together.accepted) > 5
    assert len(together.refused) > len(together.accepted)
    assert together.median < 3 * alone.median, (str(alone), str(together))
    assert together.median_refusal < alone.median, (str(alone), str(together))
    unloaded(service, 3)
