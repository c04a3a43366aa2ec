"""Labelled queries: sources by id, bytes or uri, folds without a common source, bad lines named."""

import json

import numpy as np
import pytest

from attribution.evaluation.benchmark.cases import BadBenchmark
from attribution.rehearsal.examples import examples
from attribution.rehearsal.labelled import TooFewLabels, knowing_copies, labelled
from tests.support.pictures import picture


@pytest.fixture
def write(tmp_path):
    """Write a manifest of rows; the query of each row becomes an image."""

    def written(rows):
        for number, row in enumerate(rows):
            if "query" not in row:
                row["query"] = f"{number}.png"
                picture(number).save(tmp_path / row["query"])
        path = tmp_path / "manifest.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return written


def by_uri(*numbers, kind="picture"):
    return [{"image": f"{kind}:{number}", "role": "exemplar"} for number in numbers]


def test_sources_are_recognised_by_uri_or_by_bytes(hold, catalog, write, tmp_path):
    sources = hold(range(30))
    picture(3).save(tmp_path / "renamed.png")
    rows = [{"sources": by_uri(number)} for number in range(20)]
    rows += [{"sources": [{"image": "renamed.png"}]}, {"sources": by_uri(999)}, {"sources": []}]
    known = labelled(catalog, write(rows))
    assert known[7].truths == (frozenset({sources[7].vector_id}),)
    assert known[20].truths == (frozenset({sources[3].vector_id}),)
    assert known[21].truths == (frozenset(),), "not held"
    assert known[22].truths == ()
    assert known[7].load().size == (96, 72)


def test_sources_that_came_from_the_catalog_are_recognised_by_their_id(hold, catalog, write):
    sources = hold(range(21))
    rows = [
        {"sources": [{"image": "sources/x.png", "source_id": source.source_id}]}
        for source in sources[:20]
    ]
    rows += [{"sources": [{"image": "picture:20", "source_id": "gone"}]}]
    known = labelled(catalog, write(rows))
    for query, source in zip(known, sources, strict=True):
        assert query.truths == (frozenset({source.vector_id}),)


def test_queries_that_share_a_source_are_of_one_fold(hold, catalog, write):
    hold(range(30))
    chained = [{"sources": by_uri(number, number + 1)} for number in range(8)]
    single = [{"sources": by_uri(number)} for number in range(12, 24)]
    known = labelled(catalog, write(chained + single))
    assert len({query.fold for query in known[:8]}) == 1
    assert sorted(query.fold for query in known) == [0] * 10 + [1] * 10


def test_a_source_held_in_other_bytes_too_is_left_out_whole_and_is_in_one_fold(
    hold, catalog, write, open_attributor, tmp_path
):
    sources, saved_again = hold(range(20)), hold(range(20), quality=60)
    rows = []
    for number in range(20):
        picture(number).save(tmp_path / f"of-{number}.png")
        rows += [
            {"query": f"of-{number}.png", "sources": by_uri(number, kind=kind)}
            for kind in ("picture", "jpeg")
        ]
    attributor, done = open_attributor(), []
    found = labelled(catalog, write(rows))
    known = knowing_copies(attributor, found, on_progress=lambda *steps: done.append(steps))
    assert done[-1] == (40, 40)
    for number, (first, second) in enumerate(zip(known[::2], known[1::2], strict=True)):
        both = frozenset({sources[number].vector_id, saved_again[number].vector_id})
        assert first.truths == second.truths == (both,)
        assert first.fold == second.fold
    asked = examples(attributor, known)
    without = asked.credit[:, -1] == 1
    assert without.sum() == 40
    assert np.median(asked.p_values[without]) > 0.3, "as if no source was held"


def test_too_little_to_fit_on_is_said(hold, catalog, write):
    hold(range(30))
    with pytest.raises(TooFewLabels, match="3 queries: give at least 20"):
        labelled(catalog, write([{"sources": by_uri(n)} for n in range(3)]))
    with pytest.raises(TooFewLabels, match="share all their sources"):
        labelled(catalog, write([{"sources": by_uri(5)} for _ in range(20)]))
    with pytest.raises(TooFewLabels, match="none of them is held"):
        labelled(catalog, write([{"sources": by_uri(500 + n)} for n in range(20)]))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"query": 3, "sources": []}, 'line 1: needs "query"'),
        ({"query": "absent.png", "sources": []}, "absent.png is missing"),
        ({"sources": "a.png"}, 'line 1: needs "sources"'),
        ({"sources": [{"role": "exemplar"}]}, 'needs "image"'),
    ],
)
def test_a_bad_row_is_named(catalog, write, row, complaint):
    with pytest.raises(BadBenchmark, match=complaint):
        labelled(catalog, write([row]))


def test_a_missing_manifest_is_named(catalog, tmp_path):
    with pytest.raises(BadBenchmark, match="no such file"):
        labelled(catalog, tmp_path / "absent.jsonl")
