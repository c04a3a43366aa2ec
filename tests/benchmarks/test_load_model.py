"""The simulation of the roles agrees with what queueing theory says where it says something."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import load_model
import numpy as np
import pytest
from load_model import Costs, Fleet, Line, largest, limits, simulate

NOTHING = Line(0.0, 0.0)
IDLE = Costs(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, 0.0, 0.0)


@pytest.mark.parametrize("line", [Line(0.2, 0.05), Line(0.0, 0.1), Line(0.3, 0.0)])
def test_a_line_is_laid_through_what_was_measured(line: Line) -> None:
    sizes = [1, 4, 16]

    found = Line.through(sizes, [line(size) for size in sizes])

    assert (found.fixed, found.each) == pytest.approx((line.fixed, line.each), abs=1e-9)


@pytest.mark.parametrize("seconds", [[1.0, 3.0, 20.0], [5.0, 3.0, 1.0]])
def test_no_time_of_a_line_is_negative(seconds: list[float]) -> None:
    found = Line.through([1, 2, 4], seconds)

    assert min(found.fixed, found.each) == 0
    assert found(1) > 0


@pytest.mark.parametrize("load", [0.3, 0.6, 0.85])
def test_one_replica_that_takes_one_at_a_time_waits_as_pollaczek_and_khinchine_say(
    load: float,
) -> None:
    seconds = 0.05
    costs = replace(IDLE, encode=Line(seconds, 0.0))

    seen = simulate(
        costs, Fleet(together=1), queries=load / seconds, writes=0.0, seconds=2000.0, seed=3
    )

    expected = seconds + load * seconds / (2 * (1 - load))  # M/D/1
    assert np.mean(seen.answered) == pytest.approx(expected, rel=0.07)
    assert seen.busy["api"] == pytest.approx(load, rel=0.03)


def test_batches_serve_what_one_at_a_time_would_not() -> None:
    costs = replace(IDLE, encode=Line(0.04, 0.01))

    alone = simulate(costs, Fleet(together=1), queries=40.0, writes=0.0, seconds=60.0)
    together = simulate(costs, Fleet(together=16), queries=40.0, writes=0.0, seconds=60.0)

    assert alone.unanswered > 500
    assert alone.busy["api"] == pytest.approx(1.0, abs=0.02)
    assert together.unanswered < 40
    assert np.quantile(together.answered, 0.99) < 0.5


def test_replicas_add_up_until_milvus_is_the_limit() -> None:
    costs = replace(IDLE, encode=Line(0.0, 0.04), search=Line(0.0, 0.01))

    found = {
        (replicas, slots): limits(costs, Fleet(replicas, slots), writes=0.0, seconds=20.0)
        for replicas, slots in [(1, 8), (4, 8), (16, 1)]
    }

    assert found[1, 8]["queries"] == pytest.approx(25, rel=0.15)
    assert found[4, 8]["queries"] == pytest.approx(100, rel=0.15)
    assert found[16, 1]["queries"] == pytest.approx(100, rel=0.15)
    assert found[16, 1]["busy"]["milvus"] > 0.9 > found[16, 1]["busy"]["api"]


def test_a_write_waits_for_the_next_look_and_for_its_batch() -> None:
    costs = replace(IDLE, apply=Line(0.1, 0.0), follow=Line(0.05, 0.0), publish=0.02)

    seen = simulate(costs, Fleet(follow_seconds=1.0), queries=0.0, writes=0.05, seconds=60_000.0)

    assert min(seen.seen) >= 0.17
    assert np.mean(seen.seen) == pytest.approx(0.17 + 0.5, rel=0.05)
    assert max(seen.seen) < 1.0 + 2 * 0.17 + 1e-6


def test_more_writes_than_the_indexer_brings_in_age_the_null_without_end() -> None:
    costs = replace(IDLE, apply=Line(0.0, 0.01))

    short = simulate(costs, Fleet(), queries=0.0, writes=150.0, seconds=100.0)
    long = simulate(costs, Fleet(), queries=0.0, writes=150.0, seconds=200.0)

    assert short.busy["indexer"] > 0.85  # a batch on its way is not counted yet
    assert max(long.seen) > 1.5 * max(short.seen) > 10.0


def test_what_is_published_is_read_by_each_api_with_its_own_core() -> None:
    costs = replace(IDLE, publish=0.001, read=0.1)

    seen = simulate(costs, Fleet(replicas=3), queries=0.0, writes=20.0, seconds=100.0)

    assert seen.busy["api"] == pytest.approx(0.1 / 0.501, rel=0.05)


def test_the_largest_rate_is_found_by_halving() -> None:
    assert largest(lambda rate: rate <= 37.0, at_most=100.0) == pytest.approx(37.0, abs=0.5)


def test_the_same_seed_repeats_and_another_does_not() -> None:
    costs = replace(IDLE, encode=Line(0.01, 0.001))

    first, again, other = (
        simulate(costs, Fleet(2), queries=50.0, writes=2.0, seconds=20.0, seed=seed)
        for seed in (1, 1, 2)
    )

    assert first == again != other


def test_the_command_reads_costs_as_they_were_written(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = Costs(
        Line(0.01, 0.02), Line(0.0, 0.01), Line(0.0, 0.01), Line(0.1, 0.001), NOTHING, 0.01, 0.01
    )
    assert Costs.of(json.loads(json.dumps(asdict(costs)))) == costs
    measured = tmp_path / "costs.json"
    measured.write_text(json.dumps({"costs": asdict(costs), "rows": 10}))
    monkeypatch.setattr("sys.argv", ["load_model.py", str(measured), "--quick", "--milvus", "0.02"])

    load_model.main()

    told = json.loads(capsys.readouterr().out)
    assert told["costs"]["rows"] == 10
    assert told["assumed_milvus"] == 0.02
    assert {each["replicas"] for each in told["limits"]} == {1, 2}
    assert all(each["queries"] > 0 for each in told["limits"])
    assert [each["writes"] for each in told["lags"]] == [1.0, 100.0]
