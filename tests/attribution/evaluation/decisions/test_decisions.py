"""Real answers: what is kept of them, and that a filter is as good as never having added."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from attribution.attributor import Attributor, Terms
from attribution.calibration import AlphaTooSmall, Calibration
from attribution.calibration.shares.model import ShareModel
from attribution.calibration.shares.newest import NewestShares, Shares
from attribution.calibration.shares.recall import Recall
from attribution.catalog import Catalog
from attribution.evaluation.benchmark.cases import (
    BadBenchmark,
    Benchmark,
    Case,
    Truth,
    file_picture,
)
from attribution.evaluation.decisions.decisions import decide
from attribution.evaluation.decisions.gallery import (
    ASKED_SET,
    GalleryPlan,
    fill_gallery,
    plan_gallery,
)
from attribution.index import open_index
from attribution.looks import encode_looks, looks_at_picture
from attribution.retrieval.fusion import fusion_of
from tests.support.encoders import background_of, thumbnail_encoder
from tests.support.pictures import picture


@pytest.fixture(scope="module")
def encoder():
    return thumbnail_encoder()


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """Set one: blurred sources 0 to 3; set two: blends of two sources; and two strangers."""
    folder = tmp_path_factory.mktemp("images")

    def save(name, image):
        image.save(folder / f"{name}.png")
        return folder / f"{name}.png"

    sources = tuple(file_picture(f"s{n}", save(f"s{n}", picture(n))) for n in range(8))
    distractors = tuple(file_picture(f"d{n}", save(f"d{n}", picture(n))) for n in range(100, 140))
    blur = ImageFilter.GaussianBlur(1)
    cases = [Case(save("stranger", picture(900)), (), "none")]
    cases += [
        Case(save(f"one{n}", picture(n).filter(blur)), (Truth(f"s{n}"),), "one") for n in range(4)
    ]
    cases += [
        Case(
            save(f"two{n}", Image.blend(picture(n), picture(n + 2), 0.4)),
            (Truth(f"s{n}", "structure"), Truth(f"s{n + 2}", "appearance")),
            "two",
        )
        for n in (4, 5)
    ]
    cases.append(Case(save("another", picture(901)), (), "none"))
    return Benchmark("made", tuple(cases), sources, distractors)


def opened(catalog, encoder, folder, background):
    index = open_index(catalog, encoder, folder / "index")
    calibration = Calibration(index, fusion_of(encoder), background, catalog)
    calibration.build()
    return Attributor(encoder, catalog, index, calibration)


def asked(benchmark, encoder, folder, background, **options):
    plan = plan_gallery(benchmark)
    with Catalog.open(folder) as catalog:
        fill_gallery(catalog, encoder, plan)
        return decide(benchmark, opened(catalog, encoder, folder, background), plan, **options)


@pytest.fixture(scope="module")
def decisions(benchmark, encoder, tmp_path_factory):
    return asked(benchmark, encoder, tmp_path_factory.mktemp("data"), background_of(encoder))


def test_every_query_is_asked_once_in_each_gallery_that_concerns_it(decisions):
    asked = [(None, 8), ("one", 4), ("two", 2), (ASKED_SET, 8)]
    assert [(each.left_out, len(each)) for each in decisions.answers] == asked
    assert decisions.alphas == (0.1, 0.05, 0.01)
    whole = decisions.whole("clean")
    assert [case.set for case in whole.cases] == ["one"] * 4 + ["two"] * 2 + ["none"] * 2
    assert whole.values("sourceless").tolist() == [0] * 6 + [1] * 2


def test_what_is_kept_is_what_was_answered_and_what_is_true(decisions):
    one, two = decisions.whole("clean").where("one"), decisions.whole("clean").where("two")
    assert [each.first for each in one.judged] == ["s0", "s1", "s2", "s3"]
    assert one.values("right").all()
    assert one.values("credit").tolist() == [1.0] * 4
    assert two.values("credit").tolist() == [0.5] * 2  # one of two true sources
    for each in decisions.whole("clean").judged:
        assert 0 < each.p_value <= 1
        assert each.p_value <= each.wrong_p_value or each.right
        assert 0 <= each.share + each.unattributed_share <= 1 + 1e-9
    assert (one.values("wrong_p_value") > one.values("p_value")).all()
    assert (one.values("named_p_value") == one.values("p_value")).all()  # one true source each
    assert (two.values("named_p_value") >= two.values("p_value")).all()


def test_lists_are_cut_as_a_service_would(benchmark, encoder, tmp_path):
    plan = plan_gallery(benchmark)
    with Catalog.open(tmp_path) as catalog:
        fill_gallery(catalog, encoder, plan)
        attributor = opened(catalog, encoder, tmp_path, background_of(encoder))
        recall = Recall({80: 0.0, 90: 0.7}, "made")
        attributor.shares = NewestShares(catalog, "", Shares(ShareModel(), recall=recall))
        found = decide(benchmark, attributor, plan)
        assert found.recalls == (0.8, 0.9)
        whole = found.whole("clean")
        looks = [looks_at_picture(Image.open(case.query)) for case in whole.cases]
        rows = [each.rows[0] for each in encode_looks(encoder, looks)]
        believed = 2 / 8  # as many queries have no source
        asked = attributor.attribute(np.stack(rows), Terms(recall=0.9, no_source=believed))
    assert [each.lengths for each in whole.judged] == [(1, len(a.sources)) for a in asked]
    assert [each.place for each in whole.judged] == [1] * 6 + [0] * 2


def test_leaving_out_is_as_if_the_sources_had_never_been_added(
    decisions, benchmark, encoder, tmp_path
):
    named = {truth.key for case in benchmark.cases if case.set == "one" for truth in case.truths}
    cases = tuple(Case(case.query, (), case.set) for case in benchmark.cases if case.set == "one")
    without = Benchmark(
        "without",
        cases,
        tuple(each for each in benchmark.sources if each.key not in named),
        benchmark.distractors,
    )
    fresh = asked(without, encoder, tmp_path, background_of(encoder)).answers[0]
    left_out = next(each for each in decisions.answers if each.left_out == "one")
    assert left_out.values("sourceless").all()
    assert np.allclose(left_out.values("p_value"), fresh.values("p_value"))
    assert np.allclose(left_out.values("share"), fresh.values("share"), atol=1e-4)
    assert [e.first for e in left_out.judged] == [e.first for e in fresh.judged]


def test_distractors_are_asked_about_as_if_they_had_never_been_added(
    decisions, benchmark, encoder, tmp_path
):
    themselves = next(each for each in decisions.answers if each.left_out == ASKED_SET)
    assert themselves.values("sourceless").all()
    asked_about = {case.query.key for case in themselves.cases}
    assert len(asked_about) == 8 == len(set(themselves.groups.tolist()))
    without = Benchmark(
        "without",
        tuple(Case(case.query, (), "distractors") for case in themselves.cases),
        benchmark.sources,
        tuple(each for each in benchmark.distractors if each.key not in asked_about),
    )
    fresh = asked(without, encoder, tmp_path, background_of(encoder)).answers[0]
    assert np.allclose(themselves.values("p_value"), fresh.values("p_value"))
    assert [e.first for e in themselves.judged] == [e.first for e in fresh.judged]


def test_steps_are_told_for_every_condition(benchmark, encoder, tmp_path):
    told = []
    asked(
        benchmark,
        encoder,
        tmp_path,
        background_of(encoder),
        conditions=("clean", "disguised"),
        on_steps=lambda *each: told.append(each),
    )
    total = 2 * (8 + 8 + 8 + 4 + 2 + 8)
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_groups_join_queries_that_share_sources(decisions):
    groups = decisions.whole("clean").groups
    assert len(set(groups.tolist())) == 8
    case = Case(Path("again.png"), (Truth("s0"), Truth("s1")), "one")
    whole = decisions.whole("clean")
    joined = type(whole)("clean", None, (*whole.cases, case), (*whole.judged, whole.judged[0]))
    assert len(set(joined.groups.tolist())) == 7
    assert joined.groups[0] == joined.groups[1] == joined.groups[-1]


def test_alphas_that_the_background_cannot_bear_out_are_left_out(benchmark, encoder, tmp_path):
    assert asked(benchmark, encoder, tmp_path, background_of(encoder, 30)).alphas == (0.1, 0.05)
    with pytest.raises(AlphaTooSmall, match="extend the background"):
        asked(benchmark, encoder, tmp_path, background_of(encoder, 5))


def test_without_background_nothing_is_decided(benchmark, encoder, tmp_path):
    with pytest.raises(BadBenchmark, match="decisions need an encoder with a background"):
        asked(benchmark, encoder, tmp_path, None)


def test_a_set_that_is_the_whole_gallery_is_not_left_out(benchmark, encoder, tmp_path):
    alone = Benchmark("alone", benchmark.ranked[:4], benchmark.sources[:4])
    plan = plan_gallery(alone)
    assert isinstance(plan, GalleryPlan)
    assert plan.without == {"one": frozenset()}
    found = asked(alone, encoder, tmp_path, background_of(encoder))
    assert [each.left_out for each in found.answers] == [None]
