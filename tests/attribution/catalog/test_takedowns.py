"""Takedowns: gone everywhere, refused from then on, remembered without a trace of the source."""

import pytest

from attribution.catalog import Catalog, InvalidField, SourceTakenDown, compaction, previews
from attribution.catalog.database import Database
from attribution.catalog.webhooks import Told
from tests.support.catalogs import only_sqlite


def test_every_source_with_the_same_bytes_goes_in_every_collection(catalog, make_source):
    catalog.put_collection("artists")
    first, second, other = (
        item.source
        for item in catalog.add(
            "m1", [make_source(1), make_source(1, collection="artists"), make_source(2)]
        ).items
    )
    taken = catalog.takedowns.take(source_ids=[first.source_id], reason="asked for by its creator")
    assert set(taken.source_ids) == {first.source_id, second.source_id}
    assert taken.sha256s == (first.sha256,)
    assert taken.missing == ()
    assert catalog.sources().items == (other,)
    [tombstone] = catalog.takedowns.every()
    assert (tombstone.sha256, tombstone.reason) == (first.sha256, "asked for by its creator")
    assert tombstone.at.tzinfo is not None


def test_bytes_taken_down_cannot_be_added_and_nothing_of_their_batch_is(catalog, make_source):
    taken = catalog.takedowns.take(sha256s=[make_source(1).sha256], reason="a court order")
    assert taken.missing == (make_source(1).sha256,), "nobody had them, and they are refused"
    with pytest.raises(SourceTakenDown, match="these bytes were"):
        catalog.add("m1", [make_source(2), make_source(1)])
    assert catalog.sources().items == ()
    assert catalog.add("m1", [make_source(2)]).items[0].created


def test_a_second_takedown_keeps_the_first_ones_time_and_reason(catalog, make_source):
    digest = make_source(1).sha256
    catalog.takedowns.take(sha256s=[digest], reason="first")
    before = catalog.takedowns.every()
    catalog.takedowns.take(sha256s=[digest], reason="second")
    assert catalog.takedowns.every() == before


def test_lifting_allows_the_bytes_again(catalog, make_source):
    digest = make_source(1).sha256
    catalog.takedowns.take(sha256s=[digest], reason="a mistake")
    assert catalog.takedowns.lift([digest, make_source(2).sha256]) == (digest,)
    assert catalog.takedowns.among([digest]) == frozenset()
    assert catalog.add("m1", [make_source(1)]).items[0].created


@only_sqlite
@pytest.mark.parametrize("reason", ["", "  ", "x" * 513, "a\0b"])
def test_a_takedown_needs_a_reason(catalog, make_source, reason):
    source = catalog.add("m1", [make_source(1)]).items[0].source
    with pytest.raises(InvalidField, match="reason"):
        catalog.takedowns.take(source_ids=[source.source_id], reason=reason)
    assert catalog.sources().items == (source,)


def test_what_is_no_digest_is_refused_rather_than_remembered(catalog):
    with pytest.raises(InvalidField, match="sha256"):
        catalog.takedowns.take(sha256s=["src_aaaaaaaaaaaaaaaaaaaa"], reason="why")


def test_a_takedown_that_finds_no_room_to_be_told_is_in_the_log(catalog, make_source, caplog):
    told = Told(("https://a.example", "https://b.example"), most=1)
    for number in (1, 2):
        catalog.takedowns.take(sha256s=[make_source(number).sha256], reason="why", told=told)
    assert caplog.messages == ["2 webhooks are lost: too many wait"]


def test_an_unknown_id_is_missing_and_leaves_no_tombstone(catalog):
    taken = catalog.takedowns.take(source_ids=["src_" + "a" * 20], reason="why")
    assert taken.missing == ("src_" + "a" * 20,)
    assert catalog.takedowns.every() == ()
    assert not catalog.compaction.due()


def test_a_takedown_makes_compaction_due_until_it_is_done(tmp_path, url, make_source):
    with Catalog.open(tmp_path, url=url) as catalog:
        catalog.add("m1", [make_source(1), make_source(2)])
        assert not catalog.compaction.due()
        taken = catalog.takedowns.take(sha256s=[make_source(1).sha256], reason="why")
    with Catalog.open(tmp_path, url=url) as catalog:
        assert catalog.compaction.due(), "also after a restart"
        assert catalog.compaction.wanted() == taken.generation
        assert catalog.compaction.run().generation == taken.generation
        assert not catalog.compaction.due()
        assert len(catalog.live_embeddings("m1")) == 1


@only_sqlite
def test_a_takedown_of_what_no_source_has_any_more_clears_what_it_left(
    catalog, make_source, tmp_path
):
    held = catalog.add("m1", [make_source(1, uri="a secret place"), make_source(2)]).items[0].source
    catalog.delete(source_ids=[held.source_id])
    deleted = catalog.generation()
    catalog.takedowns.take(sha256s=[held.sha256], reason="why")
    assert catalog.compaction.due()
    assert catalog.compaction.wanted() == deleted, "snapshots of before the deletion must go"
    catalog.compaction.run()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if b"a secret place" in path.read_bytes()]
    # Killed between storing a preview and the commit, of which nothing is on record.
    orphan = make_source(3)
    catalog._previews.store({previews.digest(orphan.preview): orphan.preview})
    catalog.takedowns.take(sha256s=[orphan.sha256], reason="why")
    assert catalog.compaction.due()
    catalog.compaction.run()
    assert len(list((tmp_path / "data" / "previews").glob("*/*"))) == 1


def test_what_an_addition_stores_while_it_is_taken_down_goes_as_well(
    catalog, make_source, monkeypatch, tmp_path
):
    store = previews.PreviewStore.store

    def taken_down_meanwhile(self, new):
        catalog.takedowns.take(sha256s=[make_source(1).sha256], reason="why")
        catalog.compaction.run()
        store(self, new)

    monkeypatch.setattr(previews.PreviewStore, "store", taken_down_meanwhile)
    with pytest.raises(SourceTakenDown):
        catalog.add("m1", [make_source(1)])
    assert catalog.compaction.due()
    catalog.compaction.run()
    assert not list((tmp_path / "data" / "previews").glob("*/*"))


def test_what_becomes_due_while_compaction_runs_stays_due(catalog, make_source, monkeypatch):
    [source] = [item.source for item in catalog.add("m1", [make_source(1)]).items]
    catalog.takedowns.take(source_ids=[source.source_id], reason="why")
    rewrite = Database.rewrite

    def erased_meanwhile(self):
        done = rewrite(self)
        with self.write() as connection:
            compaction.again(connection)
        return done

    with monkeypatch.context() as patched:
        patched.setattr(Database, "rewrite", erased_meanwhile)
        catalog.compaction.run()
    assert catalog.compaction.due()
    catalog.compaction.run()
    assert not catalog.compaction.due()


def test_compaction_spares_what_an_addition_has_stored_and_not_committed(
    tmp_path, url, make_source
):
    with Catalog.open(tmp_path, url=url) as catalog:
        catalog.add("m1", [make_source(1)])
        crashed = tmp_path / "previews" / "ab" / (".ab" + "0" * 62 + ".1f2e.tmp")
        crashed.parent.mkdir(exist_ok=True)
        crashed.write_bytes(b"half a preview")
        catalog.compaction.ask()
        assert catalog.compaction.run().previews_removed == 1
        assert not crashed.exists()
        [source] = catalog.sources().items
        assert catalog.preview(source.source_id) == make_source(1).preview
