"""Turns: one at a time, by rank, in the order of asking; given back whatever happens."""

import threading

import pytest

from app.inference.turns import Turn, Turns
from tests.support.waiting import PATIENCE, wait_for


def queued(turns, ranks):
    """Threads that wait for a turn each, in this order, and the list that they write to."""
    order, threads = [], []

    def work(place, turn):
        with turns.take(turn):
            order.append((place, turn))

    for place, turn in enumerate(ranks):
        waiting = len(turns._waiting)
        threads.append(threading.Thread(target=work, args=(place, turn)))
        threads[-1].start()
        wait_for(lambda waiting=waiting: len(turns._waiting) == waiting + 1)
    return order, threads


def test_turns_go_by_rank_and_then_by_the_order_of_asking():
    turns = Turns()
    asked = [Turn.JOB_ENCODE, Turn.ENCODE, Turn.JOB_SEARCH, Turn.ENCODE, Turn.SEARCH, Turn.MAPS]
    with turns.take(Turn.JOB_ENCODE):
        order, threads = queued(turns, asked)
        assert order == []
    for thread in threads:
        thread.join(PATIENCE)
    expected = sorted(enumerate(asked), key=lambda each: (each[1], each[0]))
    assert order == expected


def test_two_never_have_their_turn_at_once():
    turns, inside, most = Turns(), [], []

    def work():
        for _ in range(50):
            with turns.take(Turn.ENCODE):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == [1] * 200


def test_a_turn_ends_with_an_error_too():
    turns = Turns()
    with pytest.raises(RuntimeError, match="broken"), turns.take(Turn.SEARCH):
        raise RuntimeError("broken")
    with turns.take(Turn.JOB_ENCODE):
        pass
