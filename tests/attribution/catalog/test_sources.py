from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest

from attribution.catalog import (
    InvalidCursor,
    InvalidField,
    RevisionMismatch,
    SourceFilter,
    SourceNotFound,
)
from tests.support.catalogs import only_sqlite


@pytest.fixture
def three(catalog, make_source):
    catalog.put_collection("artists")
    batch = catalog.add(
        "m1",
        [
            make_source(1, creator="Ada", licence="CC0"),
            make_source(2, creator="Ada", licence="CC-BY-4.0"),
            make_source(3, creator="Bo", licence="CC0", collection="artists"),
        ],
    )
    return [item.source for item in batch.items]


@pytest.mark.parametrize("source_id", ["", "src_aaaaaaaaaaaaaaaaaaaa", "src_", "\ud800", "x\0"])
def test_an_id_that_names_nothing_is_not_found(catalog, source_id):
    with pytest.raises(SourceNotFound):
        catalog.source(source_id)
    with pytest.raises(SourceNotFound):
        catalog.update(source_id, {})


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, [0, 1, 2]),
        (SourceFilter(), [0, 1, 2]),
        (SourceFilter(creator="Ada"), [0, 1]),
        (SourceFilter(creator="ada"), []),
        (SourceFilter(creator="Ad_"), []),
        (SourceFilter(creator="Ada", licence="CC0"), [0]),
        (SourceFilter(licence="CC0", collections=frozenset({"artists"})), [2]),
        (SourceFilter(collections=frozenset({"artists", "default"})), [0, 1, 2]),
        (SourceFilter(collections=frozenset()), []),
        (SourceFilter(collections=frozenset({"nowhere"})), []),
        (SourceFilter(uri="photos/2.jpg"), [1]),
    ],
)
def test_filters_must_all_match_exactly(catalog, three, where, expected):
    assert catalog.sources(where).items == tuple(three[number] for number in expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ADA", [0, 1]), ("photos/", [0, 1, 2]), ("%", []), ("_", []), ("cc0", [0, 2])],
)
def test_a_part_of_a_text_is_found_whatever_its_case(catalog, three, text, expected):
    found = catalog.sources(SourceFilter(text=text)).items
    assert found == tuple(three[number] for number in expected)


def test_an_id_or_a_digest_is_found_whole(catalog, three):
    for text in (three[1].source_id, three[1].sha256):
        assert catalog.sources(SourceFilter(text=text)).items == (three[1],)
        assert catalog.sources(SourceFilter(text=text[:-1])).items == ()


def test_filter_by_the_moment_of_addition(catalog, three):
    first, last = three[0].created_at, three[-1].created_at
    assert len(catalog.sources(SourceFilter(created_from=first)).items) == 3
    assert catalog.sources(SourceFilter(created_before=first)).items == ()
    later = last + timedelta(microseconds=1)
    assert catalog.sources(SourceFilter(created_from=later)).items == ()
    assert len(catalog.sources(SourceFilter(created_before=later)).items) == 3


def test_copies_are_those_held_again_among_the_collections_looked_at(catalog, make_source):
    catalog.put_collection("artists", "")
    catalog.put_collection("prints", "")
    catalog.add(
        "m1",
        [make_source(1), make_source(2), make_source(1, collection="artists"),
         make_source(2, collection="prints")],
    )  # fmt: skip
    pairs = catalog.sources(SourceFilter(copies=True)).items
    assert [source.vector_id for source in pairs] == [1, 2, 3, 4]
    within = frozenset({"default", "artists"})
    pairs = catalog.sources(SourceFilter(copies=True, collections=within)).items
    assert [source.vector_id for source in pairs] == [1, 3]


def test_the_newest_first_page_by_page(catalog, make_source):
    catalog.add("m1", [make_source(number) for number in range(5)])
    seen, cursor = [], None
    while True:
        page = catalog.sources(limit=2, cursor=cursor, order="newest")
        seen += [source.vector_id for source in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [5, 4, 3, 2, 1]


def test_filter_by_digest(catalog, three):
    assert catalog.sources(SourceFilter(sha256=three[1].sha256)).items == (three[1],)


@pytest.mark.parametrize(
    "where",
    [
        SourceFilter(sha256="ABC"),
        SourceFilter(uri="\ud800"),
        SourceFilter(creator="a\0"),
        SourceFilter(collections=frozenset({"No Such Name"})),
    ],
)
def test_a_filter_that_can_match_nothing_is_refused(catalog, where):
    with pytest.raises(InvalidField):
        catalog.sources(where)


def test_pages_cover_everything_once_while_sources_come_and_go(catalog, make_source):
    items = catalog.add("m1", [make_source(number) for number in range(10)]).items
    page = catalog.sources(limit=4)
    seen = [source.vector_id for source in page.items]
    catalog.delete(source_ids=[items[3].source.source_id, items[5].source.source_id])
    catalog.add("m1", [make_source(99)])
    while page.next_cursor is not None:
        page = catalog.sources(limit=4, cursor=page.next_cursor)
        seen += [source.vector_id for source in page.items]
    assert seen == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]


def test_a_full_last_page_has_no_cursor(catalog, three):
    assert catalog.sources(limit=3).next_cursor is None


@only_sqlite
@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_limit_out_of_range(catalog, limit):
    with pytest.raises(InvalidField, match="limit"):
        catalog.sources(limit=limit)


def test_bad_cursor(catalog):
    with pytest.raises(InvalidCursor):
        catalog.sources(cursor="garbage")


def test_by_vector_ids_takes_what_an_index_gives(catalog, three):
    asked = np.array([three[2].vector_id, -1, three[0].vector_id, 999], dtype=np.int64)
    assert catalog.by_vector_ids(asked) == {
        three[0].vector_id: three[0],
        three[2].vector_id: three[2],
    }


def test_known_digests_are_those_of_one_collection(catalog, three):
    digests = [source.sha256 for source in three] + ["0" * 64, "not a digest"]
    assert catalog.known_digests("artists", digests) == {three[2].sha256: three[2]}
    assert catalog.known_digests("artists", []) == {}


def test_update_sets_fields_and_counts_revisions(catalog, three):
    source = three[0]
    updated = catalog.update(
        source.source_id, {"title": "New", "creator": None, "metadata": {"a": [1]}}, if_revision=1
    )
    assert (updated.title, updated.creator, updated.metadata) == ("New", None, {"a": [1]})
    assert updated.revision == 2
    assert updated.updated_at > source.updated_at
    assert (updated.created_at, updated.uri) == (source.created_at, source.uri)
    assert catalog.source(source.source_id) == updated
    assert catalog.changes(3)[0].operation == "update"
    assert catalog.generation() == 4


def test_update_to_the_same_values_changes_nothing(catalog, three):
    same = catalog.update(three[0].source_id, {"creator": "Ada", "metadata": {}})
    assert same == three[0]
    assert catalog.generation() == 3


def test_update_tells_true_from_one(catalog, three):
    catalog.update(three[0].source_id, {"metadata": {"flag": True}})
    assert catalog.update(three[0].source_id, {"metadata": {"flag": 1}}).revision == 3


def test_update_at_another_revision_is_refused(catalog, three):
    catalog.update(three[0].source_id, {"title": "first"})
    with pytest.raises(RevisionMismatch, match="at revision 2, not 1"):
        catalog.update(three[0].source_id, {"title": "second"}, if_revision=1)
    assert catalog.source(three[0].source_id).title == "first"


@only_sqlite
@pytest.mark.parametrize(
    "changes", [{"sha256": "0" * 64}, {"colour": "red"}, {"title": 3}, {"metadata": None}]
)
def test_update_refuses_other_fields_and_values(catalog, three, changes):
    with pytest.raises(InvalidField):
        catalog.update(three[0].source_id, changes)
    assert catalog.source(three[0].source_id) == three[0]


def test_of_updates_at_one_revision_only_one_wins(catalog, three):
    def attempt(number):
        try:
            catalog.update(three[0].source_id, {"title": str(number)}, if_revision=1)
        except RevisionMismatch:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 1
    assert catalog.source(three[0].source_id).revision == 2
