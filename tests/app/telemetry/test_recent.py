"""What is kept of the last answers."""

from app.telemetry.recent import KEPT, Recent


def test_p_values_fall_into_tenths_and_what_is_unlike_is_counted():
    recent = Recent()
    for p_value, likeness in ((0.0004, 0.3), (0.0999, 0.01), (0.1, 0.011), (1.0, None)):
        recent.add(p_value, likeness, 0.1)
    found = recent.summary()
    assert found.p_values == (2, 1, 0, 0, 0, 0, 0, 0, 0, 1)
    assert (found.queries, found.likened, found.unlike) == (4, 3, 1)


def test_only_the_last_thousand_count():
    recent = Recent()
    for _ in range(KEPT):
        recent.add(0.95, 0.001, 0.1)
    for _ in range(10):
        recent.add(0.05, 0.9, 0.3)
    found = recent.summary()
    assert found.queries == KEPT
    assert found.p_values == (10, *(0,) * 8, KEPT - 10)
    assert found.unlike == KEPT - 10
    assert (found.median_seconds, found.slow_seconds) == (0.1, 0.1)
    assert found.watched.without_source == 1.0
