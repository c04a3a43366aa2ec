"""Who competes, how often images are described, and ranks against sorting by hand."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageOps

from attribution.evaluation.benchmark.cases import (
    BadBenchmark,
    Benchmark,
    Case,
    Truth,
    file_picture,
)
from attribution.evaluation.benchmark.treatments import CONDITIONS, TREATMENTS
from attribution.evaluation.ranks import protocol as module
from attribution.evaluation.ranks.methods import Method
from attribution.evaluation.ranks.protocol import evaluate, treated_queries
from attribution.looks import looks_at_picture


@pytest.fixture
def benchmark(tmp_path, draw):
    """Three models with two exemplars and two samples each, five distractors, one query without."""
    sources = [
        file_picture(f"m{model}/{n}", draw(tmp_path / f"m{model}-{n}.png", 10 * model + n))
        for model in range(3)
        for n in range(2)
    ]
    cases = []
    for model in range(3):
        truths = (Truth(f"m{model}/0", "exemplar"), Truth(f"m{model}/1", "exemplar"))
        for sample in range(2):
            query = draw(tmp_path / f"q{model}-{sample}.png", 100 + 10 * model + sample)
            cases.append(Case(query, truths, "samples", gallery=f"model {model}"))
    alone = Case(draw(tmp_path / "alone.png", 7), (), "no_source")
    distractors = tuple(
        file_picture(f"d{n}", draw(tmp_path / f"d{n}.png", 200 + n)) for n in range(5)
    )
    return Benchmark(
        "made",
        (alone, *cases),
        tuple(sources),
        distractors,
        {f"model {m}": frozenset({f"m{m}/0", f"m{m}/1"}) for m in range(3)},
    )


def by_hand(benchmark, describer, scorer, case, image, allowed):
    """Ranks of the truths in a list sorted with Python's own stable sort."""
    gallery = [picture for picture in benchmark.gallery if allowed(picture.key)]
    rows = describer(picture.load() for picture in gallery)
    scores = scorer(describer([image]), rows, [()])[0]
    order = sorted(range(len(gallery)), key=lambda place: -scores[place])
    ranked = [gallery[place].key for place in order]
    return tuple(ranked.index(truth.key) + 1 for truth in case.truths), tuple(ranked[:10])


@pytest.mark.parametrize("protocol", ["open", "own-exemplars"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_ranks_are_those_of_a_list_sorted_by_hand(
    benchmark, describer, scorer, protocol, condition
):
    found = evaluate(
        benchmark, [Method("m", describer, scorer)], conditions=[condition], protocol=protocol
    )
    ranking = found.ranking("m", condition)
    assert found.cases == benchmark.ranked
    for number, case in enumerate(benchmark.ranked):

        def allowed(key, case=case):
            own = benchmark.groups[case.gallery]
            return protocol == "open" or key in own or key.startswith("d")

        image = CONDITIONS[condition](case.picture.load(), np.random.default_rng(number))
        ranks, best = by_hand(benchmark, describer, scorer, case, image, allowed)
        assert ranking.ranks[number] == ranks
        assert ranking.best[number] == best


def test_blocks_of_queries_change_nothing(benchmark, describer, scorer, monkeypatch):
    methods = [Method("m", describer, scorer)]
    whole = evaluate(benchmark, methods)
    monkeypatch.setattr(module, "_SCORES_AT_ONCE", 2 * len(benchmark.gallery))
    sizes = []

    def watched(queries, gallery, truth):
        sizes.append((len(queries), len(truth)))
        return scorer(queries, gallery, truth)

    assert evaluate(benchmark, [Method("m", describer, watched)]) == whole
    assert sizes == [(2, 2)] * 3
    sizes.clear()
    evaluate(benchmark, [Method("m", describer, watched, blockwise=False)])
    assert sizes == [(6, 6)]


def test_methods_that_share_a_describer_share_its_rows(benchmark, new_describer, scorer):
    one, other = new_describer("one"), new_describer("other")
    seen = []
    evaluate(
        benchmark,
        [Method("a", one, scorer), Method("b", other, scorer), Method("c", one, scorer)],
        conditions=["clean", "laundered"],
        on_images=lambda done, total: seen.append((done, total)),
    )
    expected = len(benchmark.gallery) + 2 * len(benchmark.ranked)
    assert one.seen == other.seen == expected
    assert seen == [(done, 2 * expected) for done in range(1, 2 * expected + 1)]


def test_a_mirrored_method_takes_the_larger_score(benchmark, describer, scorer):
    found = evaluate(
        benchmark,
        [Method("straight", describer, scorer), Method("both", describer, scorer, mirrored=True)],
    )
    gallery = describer(picture.load() for picture in benchmark.gallery)
    for number, case in enumerate(benchmark.ranked):
        image = case.picture.load()
        straight, mirror = scorer(describer([image, ImageOps.mirror(image)]), gallery, [])
        for name, scores in (("straight", straight), ("both", np.maximum(straight, mirror))):
            order = np.argsort(-scores, kind="stable").tolist()
            columns = [order.index(2 * (number // 2) + place) + 1 for place in range(2)]
            assert found.ranking(name, "clean").ranks[number] == tuple(columns)


def test_a_query_is_ranked_by_what_it_frames_where_that_scores_better(benchmark, describer, scorer):
    methods = [Method("whole", describer, scorer), Method("looked", describer, scorer, framed=True)]
    found = evaluate(benchmark, methods, conditions=["border", "clean"])
    gallery = describer(picture.load() for picture in benchmark.gallery)
    taken = 0
    for number, case in enumerate(benchmark.ranked):
        image = TREATMENTS["border"](case.picture.load(), np.random.default_rng(number))
        looks = scorer(describer(looks_at_picture(image).pictures), gallery, [])
        best = looks[looks.max(axis=1).argmax()]
        for name, scores in (("whole", looks[0]), ("looked", best)):
            order = np.argsort(-scores, kind="stable").tolist()
            columns = [order.index(2 * (number // 2) + place) + 1 for place in range(2)]
            assert found.ranking(name, "border").ranks[number] == tuple(columns)
        taken += len(looks) > 1 and looks[1].max() > looks[0].max()
    assert taken >= 3
    assert found.ranking("looked", "clean").ranks == found.ranking("whole", "clean").ranks


def test_true_columns_are_given_to_scorers(benchmark, describer, scorer):
    given = []

    def watched(queries, gallery, truth):
        given.extend(truth)
        return scorer(queries, gallery, truth)

    evaluate(benchmark, [Method("m", describer, watched)])
    assert given == [(0, 1), (0, 1), (2, 3), (2, 3), (4, 5), (4, 5)]


def test_clean_pairs_are_handed_out_row_by_row(benchmark, describer, scorer, monkeypatch):
    pairs = []

    def take(name, queries, sources):
        pairs.append((name, queries, sources))

    methods = [Method("a", describer, scorer), Method("b", describer, scorer)]
    evaluate(benchmark, methods, conditions=["laundered", "clean"], on_pairs=take)
    [(name, queries, sources)] = pairs
    assert name == describer.name
    assert (queries == np.repeat(describer(treated_queries(benchmark.ranked, "clean")), 2, 0)).all()
    gallery = describer(picture.load() for picture in benchmark.sources)
    assert (sources == gallery[[0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5]]).all()
    monkeypatch.setattr(module, "_PAIRS_AT_MOST", 5)
    evaluate(benchmark, methods, on_pairs=take)
    assert len(pairs[1][1]) == len(pairs[1][2]) == 4
    evaluate(benchmark, methods, conditions=["disguised"], on_pairs=pytest.fail)


def test_without_a_model_a_querys_own_sources_are_its_exemplars(benchmark, describer, scorer):
    cases = tuple(replace(case, gallery=None) for case in benchmark.cases)
    methods = [Method("m", describer, scorer)]
    named = evaluate(benchmark, methods, protocol="own-exemplars")
    unnamed = evaluate(replace(benchmark, cases=cases), methods, protocol="own-exemplars")
    assert named.rankings == unnamed.rankings


def test_an_excluded_image_is_not_ranked(tmp_path, draw, describer, scorer):
    files = [draw(tmp_path / f"{n}.png", n) for n in range(4)]
    sources = tuple(file_picture(str(n), file) for n, file in enumerate(files))
    case = Case(files[0], (Truth("1"),), "a", excluded=frozenset({"0"}))
    methods = [Method("m", describer, scorer)]
    left_out = evaluate(Benchmark("b", (case,), sources), methods).rankings[0]
    ranked = evaluate(
        Benchmark("b", (replace(case, excluded=frozenset()),), sources), methods
    ).rankings[0]
    assert ranked.best[0][0] == "0"
    assert left_out.best[0] == ranked.best[0][1:]
    assert left_out.ranks[0][0] == ranked.ranks[0][0] - 1


def test_a_method_that_sees_no_difference_ranks_by_chance(benchmark, describer):
    """Sources stand before distractors in the gallery; that must not make them rank before."""

    def blind(queries, gallery, truth):
        return np.zeros((len(queries), len(gallery)), np.float32)

    many = replace(
        benchmark,
        distractors=tuple(replace(benchmark.distractors[0], key=f"d{n}") for n in range(300)),
    )
    [ranking] = evaluate(many, [Method("blind", describer, blind)]).rankings
    ranks = np.array(ranking.ranks).ravel()
    assert 75 < np.mean(ranks) < 230
    assert all(key.startswith("d") for key in ranking.best[0][:2])


def test_a_case_keeps_the_pixels_of_its_number_where_others_are_left_out(
    benchmark, describer, scorer
):
    numbered = [replace(case, number=number) for number, case in enumerate(benchmark.ranked)]
    method = Method("m", describer, scorer)
    [whole] = evaluate(benchmark, [method], conditions=["laundered"]).rankings
    fewer = replace(benchmark, cases=tuple(numbered[1:]))
    [left] = evaluate(fewer, [method], conditions=["laundered"]).rankings
    assert left.ranks == whole.ranks[1:]
    assert left.best == whole.best[1:]


def test_what_makes_no_sense_is_refused(benchmark, describer, scorer):
    method = Method("m", describer, scorer)
    with pytest.raises(BadBenchmark, match="--distractors"):
        evaluate(replace(benchmark, distractors=()), [method], protocol="own-exemplars")
    with pytest.raises(BadBenchmark, match="no query has a true source"):
        evaluate(replace(benchmark, cases=benchmark.cases[:1]), [method])
    with pytest.raises(BadBenchmark, match="same key"):
        evaluate(replace(benchmark, distractors=benchmark.sources[:1]), [method])
    own = replace(benchmark.ranked[0], gallery="model 2")
    with pytest.raises(BadBenchmark, match="not in its own gallery"):
        evaluate(replace(benchmark, cases=(own,)), [method], protocol="own-exemplars")
    with pytest.raises(ValueError, match="share a name"):
        evaluate(benchmark, [method, method])
    with pytest.raises(ValueError, match="known are clean"):
        evaluate(benchmark, [method], conditions=["unseen"])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [(lambda scores: scores[:, 1:], "shape"), (lambda scores: scores * np.nan, "not finite")],
)
def test_scores_that_cannot_be_ranked_are_refused(benchmark, describer, scorer, wrong, says):
    def bad(queries, gallery, truth):
        return wrong(scorer(queries, gallery, truth))

    with pytest.raises(ValueError, match=says):
        evaluate(benchmark, [Method("m", describer, bad)])
