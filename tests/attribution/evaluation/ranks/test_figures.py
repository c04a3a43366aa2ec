"""Figures by set, role and generator; differences; and what is written."""

import json
from pathlib import Path

import pytest

from attribution.evaluation.benchmark.cases import Case, Truth
from attribution.evaluation.ranks.figures import difference, summarise, write_json
from attribution.evaluation.ranks.rankings import (
    Evaluation,
    Ranking,
    distinct_ranks,
    ranks_without_others,
)


def case(in_set, method, *truths):
    return Case(Path("q.png"), tuple(Truth(*truth) for truth in truths), in_set, method)


CASES = (
    case("gan", "one", ("a", "exemplar")),
    case("gan", "two", ("g", "exemplar")),
    case("splice", "one", ("a", "structure"), ("b", "appearance")),
    case("splice", "two", ("c", "structure"), ("d", "appearance")),
    case("splice", "two", ("e", "structure"), ("f", "appearance")),
)
GOOD = ((1,), (1,), (1, 2), (2, 1), (1, 4))
BAD = ((1,), (200,), (3, 6), (101, 1), (7, 100))


@pytest.fixture
def evaluation():
    rankings = tuple(
        Ranking(name, "clean", ranks, (("a",),) * 5) for name, ranks in (("g", GOOD), ("b", BAD))
    )
    return Evaluation("made", "open", 100, 6, 300, CASES, rankings)


def test_figures_of_sets_and_their_mean(evaluation):
    summary = summarise(evaluation, evaluation.ranking("b", "clean"))
    rows = {(row.set, row.role): row for row in summary.rows}
    gan, splice = rows["gan", ""], rows["splice", ""]
    assert (gan.queries, gan.components, splice.queries, splice.components) == (2, 2, 3, 3)
    assert (gan.hit, gan.recall[100], gan.precision.value) == (0.5, 0.5, 0.5)
    precisions = [(1 / 3 + 2 / 6) / 2, (1 / 1) / 2, (1 / 7 + 2 / 100) / 2]  # cut at rank 100
    assert splice.precision.value == pytest.approx(sum(precisions) / 3)
    assert splice.hit == pytest.approx(1 / 3)
    assert splice.recall[5] == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert splice.recall_ceiling == {1: 0.5, 5: 1, 10: 1, 100: 1}
    assert summary.mean.value == pytest.approx((0.5 + sum(precisions) / 3) / 2)
    assert summary.mean.low <= summary.mean.value <= summary.mean.high


def test_a_role_is_ranked_as_if_the_other_true_sources_were_not_held(evaluation):
    summary = summarise(evaluation, evaluation.ranking("b", "clean"))
    rows = {(row.set, row.role): row for row in summary.rows}
    assert set(rows) == {
        ("gan", ""),
        ("splice", ""),
        ("splice", "structure"),
        ("splice", "appearance"),
    }
    structure = rows["splice", "structure"]
    assert structure.precision.value == pytest.approx((1 / 3 + 1 / 100 + 1 / 7) / 3)
    assert structure.precision_among_all == pytest.approx((1 / 3 + 0 + 1 / 7) / 3)
    appearance = rows["splice", "appearance"]
    assert appearance.precision.value == pytest.approx((1 / 5 + 1 + 1 / 99) / 3)
    assert appearance.precision_among_all == pytest.approx((1 / 6 + 1 + 1 / 100) / 3)
    whole = rows["splice", ""]
    assert whole.precision_among_all == pytest.approx(whole.precision.value)
    assert structure.recall[10] == pytest.approx(2 / 3)
    assert structure.recall_ceiling[1] == 1
    assert rows["splice", "appearance"].hit == pytest.approx(1 / 3)


def test_generators_are_listed_where_asked(evaluation):
    ranking = evaluation.ranking("g", "clean")
    plain = summarise(evaluation, ranking)
    assert not any(row.made_by for row in plain.rows)
    rows = {
        (row.set, row.made_by): row for row in summarise(evaluation, ranking, per_method=True).rows
    }
    assert rows["splice", "one"].queries == 1
    assert rows["splice", "one"].precision.low is None  # one component
    assert rows["splice", "two"].precision.value == pytest.approx((1 + (1 + 2 / 4) / 2) / 2)


def test_a_difference_is_paired(evaluation):
    found = difference(evaluation, "g", "b", "clean")
    summaries = [summarise(evaluation, evaluation.ranking(name, "clean")) for name in "gb"]
    assert found.intervals.mean.value == pytest.approx(
        summaries[0].mean.value - summaries[1].mean.value
    )
    assert found.intervals.sets["splice"].low > 0
    backwards = difference(evaluation, "b", "g", "clean")
    assert backwards.intervals.mean.high == pytest.approx(-found.intervals.mean.low)


def test_a_source_in_two_roles_counts_once():
    twice = case("s", "", ("a", "structure"), ("a", "appearance"), ("b", "appearance"))
    assert distinct_ranks(twice, (1, 1, 5)) == (1, 5)
    assert distinct_ranks(twice, (1, 1, 5), "structure") == (1,)
    assert ranks_without_others(twice, (1, 1, 5), "structure") == (1,)
    assert ranks_without_others(twice, (1, 1, 5), "appearance") == (1, 5)
    assert ranks_without_others(twice, (9, 9, 5), "structure") == (8,)


def test_rankings_are_found_by_name(evaluation):
    assert evaluation.methods == ("g", "b")
    assert evaluation.conditions == ("clean",)
    with pytest.raises(KeyError, match="no ranking"):
        evaluation.ranking("g", "laundered")


def test_json_holds_figures_and_every_rank(evaluation, tmp_path):
    summaries = [summarise(evaluation, ranking) for ranking in evaluation.rankings]
    differences = [difference(evaluation, "b", "g", "clean")]
    write_json(tmp_path / "e.json", evaluation, summaries, differences, {"command": "x"})
    document = json.loads((tmp_path / "e.json").read_text())
    assert (document["protocol"], document["cut"], document["command"]) == ("open", 100, "x")
    assert [tuple(ranks) for ranks in document["rankings"][1]["ranks"]] == list(BAD)
    assert document["summaries"][0]["mean"]["value"] == summaries[0].mean.value
    assert document["summaries"][0]["rows"][0]["recall"]["5"] == 1.0
    assert document["cases"][2]["truths"][1] == {"key": "b", "role": "appearance"}
    assert document["differences"][0]["intervals"]["sets"]["gan"]["value"] == -0.5
