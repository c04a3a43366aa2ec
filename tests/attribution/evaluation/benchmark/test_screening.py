"""What cannot be read is in no figure, and what is left of a benchmark is what it was."""

from dataclasses import replace

import pytest

from attribution.evaluation.benchmark.cases import (
    BadBenchmark,
    Benchmark,
    Case,
    Truth,
    file_picture,
)
from attribution.evaluation.benchmark.screening import LeftOut, readable


@pytest.fixture
def benchmark(tmp_path, draw):
    """Three queries with sources, one of which has two, and one without; two distractors."""
    names = ["q0", "q1", "q2", "q3", "s0", "s1", "s2", "d0", "d1"]
    files = {name: draw(tmp_path / f"{name}.png", seed) for seed, name in enumerate(names)}
    truths = {"q0": ["s0"], "q1": [], "q2": ["s0", "s1"], "q3": ["s2"]}
    return Benchmark(
        "made",
        tuple(
            Case(files[query], tuple(map(Truth, of)), "all", gallery="model")
            for query, of in truths.items()
        ),
        tuple(file_picture(name, files[name]) for name in ("s0", "s1", "s2")),
        distractors=tuple(file_picture(name, files[name]) for name in ("d0", "d1")),
        groups={"model": frozenset({"s0", "s1", "s2"})},
    )


def queries(benchmark):
    return [case.query.stem for case in benchmark.cases]


def damage(tmp_path, *names):
    for name in names:
        path = tmp_path / f"{name}.png"
        path.write_bytes(path.read_bytes()[:40])


def test_a_benchmark_without_a_fault_is_left_as_it_is(benchmark):
    seen = []
    left, left_out = readable(benchmark, on_images=lambda done, total: seen.append((done, total)))
    assert left_out == ()
    assert [replace(case, number=None) for case in left.cases] == list(benchmark.cases)
    assert [case.number for case in left.cases] == [0, 3, 1, 2]  # as they are asked
    assert left.gallery == benchmark.gallery
    assert seen[-1] == (9, 9)


def test_a_query_and_a_distractor_are_left_out_and_named(benchmark, tmp_path):
    damage(tmp_path, "q0", "d1")
    (tmp_path / "q1.png").unlink()
    left, left_out = readable(benchmark)
    assert queries(left) == ["q2", "q3"]
    assert [case.number for case in left.cases] == [1, 2]
    assert [each.key for each in left.gallery] == ["s0", "s1", "s2", "d0"]
    assert [(each.kind, each.place) for each in left_out] == [
        ("query", str(tmp_path / "q0.png")),
        ("query", str(tmp_path / "q1.png")),
        ("distractor", str(tmp_path / "d1.png")),
    ]
    assert left_out[1].reason == "no such image"


def test_a_case_without_one_of_its_sources_would_be_another(benchmark, tmp_path):
    damage(tmp_path, "s1")
    left, left_out = readable(benchmark)
    assert queries(left) == ["q0", "q1", "q3"]
    assert [each.key for each in left.sources] == ["s0", "s2"]
    assert left.groups == {"model": {"s0", "s2"}}
    reason = "of its sources, s1 cannot be read"
    assert left_out[1] == LeftOut("query", str(tmp_path / "q2.png"), reason)


def test_of_pictures_of_one_thing_the_others_remain(benchmark, tmp_path):
    damage(tmp_path, "s1", "s2")
    left, left_out = readable(replace(benchmark, alike=True))
    assert queries(left) == ["q0", "q1", "q2"]
    assert [truth.key for truth in left.cases[2].truths] == ["s0"]
    assert [each.kind for each in left_out] == ["source", "source", "query"]


def test_nothing_left_is_refused_in_one_line(benchmark, tmp_path):
    damage(tmp_path, "s0", "s2")  # what is left has no source, by its maker's word
    with pytest.raises(BadBenchmark, match=r"none of its queries is left.*s0\.png: ") as caught:
        readable(benchmark)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_opened_is_told_as_well(benchmark, tmp_path):
    (tmp_path / "d0.png").unlink()
    (tmp_path / "d0.png").mkdir()
    _, [left_out] = readable(benchmark)
    assert left_out.kind == "distractor"
    assert "no regular file" in left_out.reason
