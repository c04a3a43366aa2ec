"""From a catalog to a fitted share model, with sources drawn once and copies known as such."""

from collections import Counter
from functools import partial

import numpy as np
import pytest

from attribution.calibration.shares.fitting import cross_validated
from attribution.rehearsal.examples import examples
from attribution.rehearsal.held import choose, distinct, with_copies
from attribution.rehearsal.queries import make_query
from attribution.rehearsal.rehearsal import TooFewSources, rehearsal


@pytest.fixture(autouse=True)
def _small_queries(monkeypatch):
    """Synthetic queries of 24 pixels instead of 128: a thirtieth of the time."""
    small = partial(make_query, size=24)
    monkeypatch.setattr("attribution.rehearsal.rehearsal.make_query", small)


def test_sources_are_drawn_once_whatever_collections_hold_them(hold, catalog):
    hold(range(30))
    hold(range(10), "other")
    assert len(choose(catalog, 100, seed=0)) == 30
    drawn = choose(catalog, 12, seed=0)
    assert len({source.sha256 for source in drawn}) == 12
    assert drawn == choose(catalog, 12, seed=0) != choose(catalog, 12, seed=1)
    only = choose(catalog, 100, seed=0, collections=frozenset({"other"}))
    assert {source.collection for source in only} == {"other"}


def test_copies_are_known_as_such(hold, catalog, open_attributor):
    sources = hold(range(20))
    [copy] = hold([4], "other")
    done = []
    held = with_copies(open_attributor(), sources, on_progress=done.append)
    assert [len(each.copies) for each in held] == [2 if n == 4 else 1 for n in range(20)]
    assert held[4].copies == {sources[4].vector_id, copy.vector_id}
    assert done[-1] == 20
    both = with_copies(open_attributor(), [*sources, copy])
    assert len(both) == 21
    assert distinct(both) == both[:20]


def test_a_source_without_a_preview_makes_no_query(hold, catalog, open_attributor, caplog):
    sources = hold(range(20))
    attributor = open_attributor()
    catalog._previews.path(_preview_of(catalog, sources[2])).unlink()
    assert len(with_copies(attributor, sources)) == 19
    assert sources[2].source_id in caplog.text


def test_each_preview_is_read_twice_however_many_sources_are_near(
    hold, catalog, open_attributor, monkeypatch
):
    sources, attributor, read = hold(range(20)), open_attributor(), Counter()
    preview = type(catalog).preview

    def counting(self, source_id):
        read[source_id] += 1
        return preview(self, source_id)

    monkeypatch.setattr(type(catalog), "preview", counting)
    with_copies(attributor, sources)
    assert read == {source.source_id: 2 for source in sources}  # as a query, as a thumbnail


def _preview_of(catalog, source):
    from attribution.catalog.sources import preview_name  # noqa: PLC0415

    with catalog._database.read() as connection:
        return preview_name(connection, source.source_id)


def test_a_fit_on_rehearsed_queries_beats_the_constant(hold, open_attributor):
    hold(range(60))
    attributor = open_attributor()
    found = examples(attributor, rehearsal(attributor, queries=60, seed=0))
    assert len(found) == 120
    assert np.unique(found.folds).tolist() == [0, 1]
    figures = cross_validated(found)
    assert figures.log_score < figures.constant_log_score
    assert figures.brier_score < figures.constant_brier_score


def test_the_same_seed_makes_the_same_examples(hold, open_attributor):
    hold(range(24))
    attributor = open_attributor()
    first, second = (
        examples(attributor, rehearsal(attributor, queries=12, seed=3)) for _ in range(2)
    )
    assert np.array_equal(first.statistics, second.statistics)
    assert np.array_equal(first.credit, second.credit)


def test_too_few_sources_says_what_to_do(hold, open_attributor):
    hold(range(19))
    with pytest.raises(TooFewSources, match=r"at least 20 .* 19 could be read: ingest more"):
        rehearsal(open_attributor())
