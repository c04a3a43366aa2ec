"""A few sequences of calls, always the same; `make soak` makes more."""


def test_sequences_of_calls_are_answered_as_described(start):
    # Takes a second to import, which every process that collects tests would spend.
    from tests.fault.call_sequences import QUIET, check  # noqa: PLC0415

    service = start(settings=QUIET)
    service.wait_until_ready()
    called = check(service, examples=8, steps=8, derandomize=True)
    assert len(called) > 5, called
