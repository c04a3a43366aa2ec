"""A few sequences of calls, always the same; `make soak` makes more."""

from tests.fault.call_sequences import QUIET, check


def test_sequences_of_calls_are_answered_as_described(start):
    service = start(settings=QUIET)
    service.wait_until_ready()
    called = check(service, examples=8, steps=8, derandomize=True)
    assert len(called) > 5, called
