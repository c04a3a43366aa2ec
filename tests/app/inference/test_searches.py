"""Searches: join what asks the same, requests before jobs, and nobody behind what has to wait."""

import threading
from concurrent.futures import wait

import numpy as np
import pytest

from app.inference.activities import Activities
from app.inference.batcher import BatcherClosedError
from app.inference.searches import Searches
from app.inference.turns import Turn, Turns
from tests.support.waiting import PATIENCE, wait_for

POISON = 13


class Fake:
    """Finds the value of a row; fails on POISON; can be held up, question by question."""

    def __init__(self):
        self.asked = []
        self.held = {}

    def search(self, asked, rows):
        if asked in self.held:
            assert self.held[asked].wait(PATIENCE)
        self.asked.append((asked, rows[:, 0].tolist()))
        if (rows == POISON).any():
            raise RuntimeError("poison")
        return [(asked, value) for value in rows[:, 0].tolist()]


class Watched:
    def __init__(self):
        self.sizes, self.stages = [], []

    def search(self, images):
        self.sizes.append(images)

    def stage(self, stage, seconds):
        assert seconds >= 0
        self.stages.append(stage)


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def turns():
    return Turns()


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def activities():
    return Activities()


@pytest.fixture
def searches(fake, turns, watched, activities):
    made = Searches(
        fake.search,
        lambda asked: not asked.startswith("new"),
        turns=turns,
        activities=activities,
        watcher=watched,
        most=4,
        most_of_jobs=2,
    )
    yield made
    for held in fake.held.values():
        held.set()
    made.close()


def row(value):
    return np.array([[value, 0]], np.float32)


def found(futures):
    return [future.result(PATIENCE).found[0] for future in futures]


def test_what_waits_with_one_question_is_searched_for_together(fake, searches, turns, watched):
    with turns.take(Turn.ENCODE):
        waiting = [searches.submit("ab"[n % 2], row(n)) for n in range(10)]
    assert found(waiting) == [("ab"[n % 2], n) for n in range(10)]
    assert fake.asked == [
        ("a", [0, 2, 4, 6]),
        ("b", [1, 3, 5, 7]),
        ("a", [8]),
        ("b", [9]),
    ]
    assert watched.sizes == [4, 4, 1, 1]
    assert watched.stages == ["search_queue", "search"] * 10


def test_a_row_alone_is_searched_for_at_once(searches):
    searched = searches.submit("a", row(5)).result(PATIENCE)
    assert searched.found == (("a", 5),)
    assert searched.queue_seconds >= 0
    assert searched.search_seconds >= 0


def test_the_rows_of_an_image_are_searched_for_together(fake, searches, turns):
    with turns.take(Turn.ENCODE):
        one, two = (
            searches.submit("a", row(1)),
            searches.submit("a", np.concatenate([row(2), row(3)])),
        )
    assert one.result(PATIENCE).found == (("a", 1),)
    assert two.result(PATIENCE).found == (("a", 2), ("a", 3))
    assert fake.asked == [("a", [1, 2, 3])]


def test_requests_go_before_jobs_which_go_few_at_a_time(fake, searches, turns):
    with turns.take(Turn.ENCODE):
        jobs = [searches.submit("a", row(n), priority="job") for n in range(3)]
        request = searches.submit("a", row(9))
    assert found([*jobs, request]) == [("a", 0), ("a", 1), ("a", 2), ("a", 9)]
    assert fake.asked == [("a", [9]), ("a", [0, 1]), ("a", [2])]


def test_what_has_to_be_waited_for_keeps_nobody_else_waiting(fake, searches, turns):
    fake.held["new"] = threading.Event()
    slow = searches.submit("new", row(1))
    assert found([searches.submit("a", row(2))]) == [("a", 2)]
    with turns.take(Turn.ENCODE):  # nor does it keep a turn
        assert not slow.done()
    fake.held["new"].set()
    assert found([slow]) == [("new", 1)]


def test_what_fails_for_one_fails_for_it_alone(searches, turns):
    with turns.take(Turn.ENCODE):
        waiting = [searches.submit("a", row(value)) for value in (1, POISON, 2)]
    with pytest.raises(RuntimeError, match="poison"):
        waiting[1].result(PATIENCE)
    assert found([waiting[0], waiting[2]]) == [("a", 1), ("a", 2)]


def test_what_nobody_waits_for_any_more_is_not_searched_for(fake, searches, turns):
    with turns.take(Turn.ENCODE):
        waiting = [searches.submit("a", row(n)) for n in range(3)]
        assert waiting[1].cancel()
    assert found([waiting[0], waiting[2]]) == [("a", 0), ("a", 2)]
    assert fake.asked == [("a", [0, 2])]


def test_a_search_that_hangs_is_seen(fake, searches, activities):
    fake.held["a"] = threading.Event()
    waiting = searches.submit("a", row(1))
    wait_for(lambda: activities.longest() is not None)
    assert activities.longest().work == "search"
    fake.held["a"].set()
    assert found([waiting]) == [("a", 1)]


def test_closing_ends_what_waits_and_takes_nothing_more(searches, turns):
    with turns.take(Turn.ENCODE):
        waiting = [searches.submit(asked, row(1)) for asked in ("a", "b", "new")]
        closing = threading.Thread(target=searches.close)
        closing.start()
    closing.join(PATIENCE)
    assert not wait(waiting, timeout=0).not_done
    with pytest.raises(BatcherClosedError):
        searches.submit("a", row(2))
