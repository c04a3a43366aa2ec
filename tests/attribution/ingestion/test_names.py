"""Sources whose file holds another picture now, and those whose file is gone."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from attribution.catalog import Catalog, SourceFilter
from attribution.ingestion import Names, ingest, read_manifest
from attribution.ingestion.manifest import ManifestRow
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


def replace_and_keep(folder, kept_as):
    """As many do it: the old picture gets another name, the new one takes its own."""
    (folder / "001.jpg").rename(folder / kept_as)
    (folder / "001.jpg").write_bytes(jpeg(picture(50)))


@pytest.mark.parametrize("kept_as", ["000-old.jpg", "001-old.jpg"])  # read before, and after
@pytest.mark.parametrize("told_before", [False, True])
def test_a_picture_that_is_there_under_another_name_is_never_taken_out(kept, kept_as, told_before):
    [before] = kept.named(kept.folder / "001.jpg")
    replace_and_keep(kept.folder, kept_as)
    if told_before:
        report = kept.ingest()
        assert report.replaced == ()
        assert [each.path for each in report.renamed] == [kept.folder / kept_as]
    report = kept.ingest(update=True)
    assert report.replaced == ()
    assert [each.source_id for each in report.renamed] == [before.source_id]
    [now] = kept.named(kept.folder / kept_as)
    assert (now.source_id, now.sha256) == (before.source_id, before.sha256)
    assert len(kept.named(kept.folder / "001.jpg")) == 1
    again = kept.ingest(update=True)
    assert (again.unchanged, again.renamed, again.replaced) == (4, (), ())


def test_two_files_that_swap_names_swap_those_of_their_sources(kept):
    paths = [kept.folder / "000.jpg", kept.folder / "001.jpg"]
    before = [kept.named(path)[0].source_id for path in paths]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[::-1], strict=True):
        path.write_bytes(content)
    kept.ingest(update=True)
    assert [kept.named(path)[0].source_id for path in paths] == before[::-1]
    assert kept.ingest(update=True).renamed == ()


def test_a_successor_that_is_gone_leaves_what_it_was_to_replace(kept, monkeypatch):
    (kept.folder / "001.jpg").write_bytes(jpeg(picture(50)))
    known, added = kept.catalog.known_digests, kept.catalog.generation()

    def deleted_meanwhile(collection, digests):
        if kept.catalog.generation() > added:
            new = kept.named(kept.folder / "001.jpg")[-1]
            kept.catalog.delete(source_ids=[new.source_id])
        return known(collection, digests)

    monkeypatch.setattr(kept.catalog, "known_digests", deleted_meanwhile)
    assert kept.ingest(update=True).replaced == ()  # it was not taken out, and is not told so
    assert len(kept.named(kept.folder / "001.jpg")) == 1


def test_what_is_out_of_reach_is_not_missing(kept, monkeypatch):
    real = Path.stat

    def stat(path, **options):
        if path.name == "001.jpg":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    (kept.folder / "000.jpg").unlink()
    (kept.folder / "002.jpg").unlink()
    (kept.folder / "002.jpg").mkdir()  # a folder of the same name is not the file
    monkeypatch.setattr(Path, "stat", stat)
    names = Names(kept.folder, "default")
    list(names.noting([]))  # as of a folder that may not be read
    gone = [str(kept.folder / name) for name in ("000.jpg", "002.jpg")]
    assert [each.uri for each in names.missing(kept.catalog)] == gone
    rows = Names(None, "default")
    manifest = [ManifestRow(kept.folder / f"00{n}.jpg", str(n)) for n in range(3)]
    assert list(rows.noting(manifest)) == manifest
    assert len(rows.missing(kept.catalog)) == 3


def test_of_the_working_folder_only_its_own_files_are_missing(kept, monkeypatch):
    monkeypatch.chdir(kept.folder)
    kept.ingest(Path())
    for uri, held in zip(["https://a.example/x.jpg", "gone.jpg"], "01", strict=True):
        [source] = kept.named(kept.folder / f"00{held}.jpg")
        kept.catalog.update(source.source_id, {"uri": uri})
    names = Names(Path(), "default")
    ingest(kept.catalog, PixelEncoder(), names.noting(read_manifest(Path())))
    assert [each.uri for each in names.missing(kept.catalog)] == ["gone.jpg"]


def test_of_a_file_that_was_renamed_it_is_said_where_its_picture_is(kept):
    (kept.folder / "001.jpg").rename(kept.folder / "dusk.jpg")
    names = Names(kept.folder, "default")
    report = ingest(kept.catalog, PixelEncoder(), names.noting(read_manifest(kept.folder)))
    [missing] = names.missing(kept.catalog, report.elsewhere)
    assert (missing.uri, missing.now) == (str(kept.folder / "001.jpg"), kept.folder / "dusk.jpg")
