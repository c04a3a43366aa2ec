"""Sources whose file holds another picture now, and those whose file is gone."""

import json
from dataclasses import dataclass

import pytest

from attribution.catalog import Catalog, SourceFilter
from attribution.ingestion import Names, ingest, read_manifest
from tests.support.folders import PixelEncoder
from tests.support.pictures import draw, jpeg, picture


@dataclass
class Kept:
    catalog: Catalog
    folder: object

    def ingest(self, path=None, **options):
        return ingest(self.catalog, PixelEncoder(), read_manifest(path or self.folder), **options)

    def uris(self):
        return sorted(source.uri for source in self.catalog.sources().items)

    def named(self, path):
        return self.catalog.sources(SourceFilter(uri=str(path))).items


@pytest.fixture
def kept(tmp_path):
    folder = draw(tmp_path / "pictures", range(3))
    with Catalog.open(tmp_path / "data") as catalog:
        made = Kept(catalog, folder)
        assert made.ingest().replaced == ()
        yield made


def test_a_replaced_file_is_told_and_both_are_held(kept):
    [before] = kept.named(kept.folder / "001.jpg")
    (kept.folder / "001.jpg").write_bytes(jpeg(picture(50)))
    for added in (1, 0):  # and again, until something is done about it
        report = kept.ingest()
        assert report.added == added
        assert [each.source_id for each in report.replaced] == [before.source_id]
        assert report.replaced[0].path == kept.folder / "001.jpg"
        assert len(kept.named(kept.folder / "001.jpg")) == 2


@pytest.mark.parametrize("told_before", [False, True])
def test_an_update_takes_the_old_one_out_and_hands_on_what_it_said(kept, told_before):
    [before] = kept.named(kept.folder / "001.jpg")
    kept.catalog.update(before.source_id, {"title": "Dusk", "metadata": {"shot": 7}})
    (kept.folder / "001.jpg").write_bytes(jpeg(picture(50)))
    if told_before:
        kept.ingest()
    report = kept.ingest(update=True)
    assert len(report.replaced) == 1
    [now] = kept.named(kept.folder / "001.jpg")
    assert now.sha256 != before.sha256
    assert (now.title, now.metadata) == ("Dusk", {"shot": 7})
    assert kept.ingest(update=True).replaced == ()
    assert len(kept.uris()) == 3


def test_pictures_that_share_a_uri_replace_each_other_in_no_order(kept, tmp_path):
    rows = [{"path": f"pictures/{seed:03d}.jpg", "uri": "https://a.example/1"} for seed in range(3)]
    manifest = tmp_path / "rows.jsonl"
    for order in (rows, rows[::-1], rows[1:] + rows[:1]):
        manifest.write_text("".join(json.dumps(row) + "\n" for row in order))
        assert kept.ingest(manifest, update=True, batch_size=1).replaced == ()
    assert len(kept.uris()) == 3


def test_the_same_name_elsewhere_is_another(kept):
    (kept.folder / "001.jpg").write_bytes(jpeg(picture(50)))
    rows = read_manifest(kept.folder, collection="other")
    assert ingest(kept.catalog, PixelEncoder(), rows).replaced == ()


def test_what_is_gone_is_listed_and_stays(kept, tmp_path):
    other = draw(tmp_path / "pictures-of-others", [9])
    kept.ingest(other)
    (kept.folder / "002.jpg").unlink()
    names = Names(kept.folder, "default")
    ingest(kept.catalog, PixelEncoder(), names.noting(read_manifest(kept.folder)))
    assert [each.uri for each in names.missing(kept.catalog)] == [str(kept.folder / "002.jpg")]
    assert len(kept.uris()) == 4


def test_of_a_manifest_every_source_of_its_collections_is_missing_that_it_does_not_name(
    kept, tmp_path
):
    manifest = tmp_path / "rows.jsonl"
    uris = [str(kept.folder / f"{seed:03d}.jpg") for seed in range(3)]
    rows = [{"path": uris[0]}, {"path": "gone.jpg", "uri": uris[1]}]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = Names(None, "default")
    ingest(kept.catalog, PixelEncoder(), names.noting(read_manifest(manifest)))
    assert [each.uri for each in names.missing(kept.catalog)] == uris[1:]
