"""How long a message waits for its next attempt."""

from app.webhooks.sender import backoff


def test_each_attempt_waits_longer_and_none_as_long_as_another():
    for attempts, longest in ((0, 5), (1, 10), (3, 40), (20, 21600), (500, 21600)):
        waits = {backoff(attempts) for _ in range(50)}
        assert len(waits) > 1
        assert all(longest / 2 <= each <= longest for each in waits)
