"""Ingesting real files into a real catalog, also when it is interrupted."""

import io
import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attribution.catalog import Catalog, CatalogClosed, RegisteredEncoder, SourceFilter
from attribution.ingestion import ManifestRow, Progress, ingest, read_manifest
from models.images.errors import DecodingLimits
from tests.support.forks import Fork


class ThumbnailEncoder:
    """The smallest real encoder: an 8 by 8 thumbnail as a unit vector."""

    model_id = "thumbnail-8"
    dimension = 192

    def __init__(self):
        self.batches = []

    def encode(self, images):
        self.batches.append(len(images))
        rows = np.stack([np.asarray(image.resize((8, 8)), np.float32).ravel() for image in images])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class OtherEncoder(ThumbnailEncoder):
    model_id = "another"


@pytest.fixture
def catalog(tmp_path):
    with Catalog.open(tmp_path / "var") as catalog:
        yield catalog


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def photograph(seed: int, side: int = 24) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3))
    return Image.fromarray(noise.astype(np.uint8))


def save_photographs(folder: Path, count: int) -> None:
    for number in range(count):
        photograph(number).save(folder / f"{number:03}.png")


def manifest(folder: Path, *rows: dict) -> Path:
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def held(catalog: Catalog, collection: str = "default"):
    return catalog.sources(SourceFilter(collections=frozenset({collection}))).items


def counts(report) -> tuple[int, int, int, int]:
    return report.added, report.unchanged, report.updated, len(report.skipped)


def test_adds_what_a_folder_holds(catalog, folder):
    save_photographs(folder, 10)
    encoder = ThumbnailEncoder()

    report = ingest(catalog, encoder, read_manifest(folder), batch_size=4)

    assert counts(report) == (10, 0, 0, 0)
    assert report.generation == catalog.generation()
    assert encoder.batches == [4, 4, 2]
    sources = held(catalog)
    assert [source.uri for source in sources] == [str(path) for path in sorted(folder.iterdir())]
    assert {(source.width, source.height, source.format) for source in sources} == {(24, 24, "png")}
    vectors = catalog.embeddings("thumbnail-8", [source.vector_id for source in sources])
    np.testing.assert_array_equal(vectors, encoder.encode([photograph(n) for n in range(10)]))
    preview = Image.open(io.BytesIO(catalog.preview(sources[3].source_id)))
    assert (preview.format, preview.size) == ("JPEG", (24, 24))


def test_everything_a_row_states_is_kept(catalog, folder):
    save_photographs(folder, 1)
    stated = {
        "uri": "u", "title": "t", "creator": "c", "licence": "l", "metadata": {"year": 1901},
    }  # fmt: skip
    path = manifest(folder, {"path": "000.png", "collection": "art", **stated})

    ingest(catalog, ThumbnailEncoder(), read_manifest(path))

    (source,) = held(catalog, "art")
    assert {name: getattr(source, name) for name in stated} == stated
    assert held(catalog) == ()


def test_again_adds_and_encodes_nothing(catalog, folder):
    save_photographs(folder, 6)
    ingest(catalog, ThumbnailEncoder(), read_manifest(folder))
    before, encoder = held(catalog), ThumbnailEncoder()

    report = ingest(catalog, encoder, read_manifest(folder))

    assert counts(report) == (0, 6, 0, 0)
    assert encoder.batches == []
    assert held(catalog) == before


def test_again_continues_with_what_is_new(catalog, folder):
    save_photographs(folder, 3)
    ingest(catalog, ThumbnailEncoder(), read_manifest(folder))
    save_photographs(folder, 5)
    encoder = ThumbnailEncoder()

    report = ingest(catalog, encoder, read_manifest(folder))

    assert counts(report) == (2, 3, 0, 0)
    assert encoder.batches == [2]


def test_again_updates_what_rows_state_differently_and_leaves_the_rest(catalog, folder):
    save_photographs(folder, 3)
    rows = [{"path": f"{n:03}.png", "title": "old", "creator": "c"} for n in range(3)]
    ingest(catalog, ThumbnailEncoder(), read_manifest(manifest(folder, *rows)))
    rows[1] = {"path": "001.png", "title": "new", "uri": "u", "metadata": {"flag": True}}
    encoder = ThumbnailEncoder()

    report = ingest(catalog, encoder, read_manifest(manifest(folder, *rows)))

    assert counts(report) == (0, 2, 1, 0)
    assert encoder.batches == []
    first, second, _ = held(catalog)
    assert (first.title, first.revision, first.uri) == ("old", 1, "000.png")
    assert (second.title, second.creator, second.uri) == ("new", "c", "u")
    assert (second.metadata, second.revision) == ({"flag": True}, 2)
    assert counts(ingest(catalog, encoder, read_manifest(manifest(folder, *rows)))) == (0, 3, 0, 0)


def test_values_that_only_python_takes_for_the_same_are_updated(catalog, folder):
    save_photographs(folder, 1)
    for value in (1, True):
        path = manifest(folder, {"path": "000.png", "metadata": {"x": value}})
        report = ingest(catalog, ThumbnailEncoder(), read_manifest(path))

    assert report.updated == 1
    assert held(catalog)[0].metadata["x"] is True


def test_a_path_never_replaces_a_uri_that_was_set(catalog, folder):
    save_photographs(folder, 1)
    ingest(catalog, ThumbnailEncoder(), read_manifest(folder))
    catalog.update(held(catalog)[0].source_id, {"uri": "https://example.org/1", "title": "t"})

    report = ingest(catalog, ThumbnailEncoder(), read_manifest(folder))

    assert counts(report) == (0, 1, 0, 0)
    assert (held(catalog)[0].uri, held(catalog)[0].title) == ("https://example.org/1", "t")


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_the_same_bytes_are_one_source_in_a_collection(catalog, folder, batch_size):
    save_photographs(folder, 2)
    for copy in ("000-copy.png", "zzz.png"):
        shutil.copy(folder / "000.png", folder / copy)
    encoder = ThumbnailEncoder()

    report = ingest(catalog, encoder, read_manifest(folder), batch_size=batch_size)

    assert counts(report) == (2, 2, 0, 0)
    assert len(held(catalog)) == 2
    again = ingest(catalog, encoder, read_manifest(folder), batch_size=batch_size)
    assert counts(again) == (0, 4, 0, 0)
    ingest(catalog, encoder, read_manifest(folder, collection="other"))
    assert len(held(catalog, "other")) == 2


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_of_contradicting_rows_the_last_holds_whatever_the_batches(catalog, folder, batch_size):
    save_photographs(folder, 2)
    titles = ["a", "b", "a", "c", "a"]
    path = manifest(folder, *({"path": "000.png", "title": title} for title in titles))

    for _ in range(2):
        report = ingest(catalog, ThumbnailEncoder(), read_manifest(path), batch_size=batch_size)
        (source,) = held(catalog)
        assert source.title == "a"
    assert (report.added, report.skipped) == (0, ())


def test_missing_collections_are_created_and_others_keep_their_description(catalog, folder):
    save_photographs(folder, 2)
    catalog.put_collection("here", "about it")
    path = manifest(
        folder,
        {"path": "000.png", "collection": "here"},
        {"path": "001.png", "collection": "new"},
    )

    ingest(catalog, ThumbnailEncoder(), read_manifest(path))

    assert catalog.collection("here").description == "about it"
    assert catalog.collection("new").sources == 1


def test_another_encoder_gets_embeddings_of_its_own(catalog, folder):
    save_photographs(folder, 3)
    ingest(catalog, ThumbnailEncoder(), read_manifest(folder))
    other = OtherEncoder()

    report = ingest(catalog, other, read_manifest(folder))

    assert other.batches == [3]
    assert counts(report) == (0, 3, 0, 0)
    ids = [source.vector_id for source in held(catalog)]
    assert catalog.embeddings("another", ids).shape == (3, 192)
    ingest(catalog, other, read_manifest(folder))
    assert other.batches == [3]


def test_unusable_rows_are_skipped_with_the_reason(catalog, folder):
    save_photographs(folder, 2)
    (folder / "text.jpg").write_text("not an image")
    (folder / "cut.png").write_bytes((folder / "000.png").read_bytes()[:300])
    (folder / "empty.gif").touch()
    photograph(9, side=200).save(folder / "large.png")
    os.mkfifo(folder / "pipe.jpg")
    names = ["000.png", "text.jpg", "cut.png", "empty.gif", "large.png", "pipe.jpg", "no.jpg"]
    rows = [{"path": name} for name in names]
    rows += [{"path": "001.png", "collection": "NOT A NAME"}, {"path": "x" * 400}, {"title": "t"}]
    rows += [{"path": "001.png", "title": "t" * 9_999}, {"path": "001.png"}]
    limits = DecodingLimits(max_pixels=100 * 100)

    report = ingest(
        catalog, ThumbnailEncoder(), read_manifest(manifest(folder, *rows)), limits=limits
    )

    assert report.added == 2
    reasons = {(item.path.name, item.reason.split(" (")[0][:38]) for item in report.skipped}
    assert len(report.skipped) == 10
    assert {name for name, _ in reasons} >= set(names[1:])
    assert ("text.jpg", "This is not a JPEG, PNG, WebP or GIF f") in reasons
    assert ("pipe.jpg", "cannot be read") in reasons
    assert ("manifest.jsonl", "line 10: path is missing") in reasons
    assert any(reason.startswith("collection: must be") for _, reason in reasons)
    assert any(reason.startswith("title: has 9999") for _, reason in reasons)


def test_files_over_the_limit_are_not_read_whole(catalog, folder):
    with (folder / "huge.jpg").open("wb") as file:
        file.truncate(10**12)  # sparse

    report = ingest(catalog, ThumbnailEncoder(), read_manifest(folder))

    assert "larger than 20,000,000 bytes" in report.skipped[0].reason


def test_progress_counts_every_row_once(catalog, folder):
    save_photographs(folder, 7)
    (folder / "bad.jpg").write_text("x")
    seen: list[Progress] = []

    ingest(
        catalog, ThumbnailEncoder(), read_manifest(folder), batch_size=3, on_progress=seen.append
    )
    assert seen[-1] == Progress(done=8, total=None, added=7, unchanged=0, skipped=1)
    assert [step.done for step in seen] == sorted(step.done for step in seen)

    ingest(catalog, ThumbnailEncoder(), list(read_manifest(folder)), on_progress=seen.append)
    assert seen[-1] == Progress(done=8, total=8, added=0, unchanged=7, skipped=1)


def test_nothing_to_do(catalog, folder):
    assert counts(ingest(catalog, ThumbnailEncoder(), read_manifest(folder))) == (0, 0, 0, 0)


def test_rows_are_taken_only_a_little_ahead(catalog, folder):
    save_photographs(folder, 60)
    taken, ahead = 0, []

    def rows():
        nonlocal taken
        for row in read_manifest(folder):
            taken += 1
            yield row

    ingest(
        catalog,
        ThumbnailEncoder(),
        rows(),
        batch_size=4,
        workers=2,
        on_progress=lambda progress: ahead.append(taken - progress.done),
    )

    assert max(ahead) <= 2 * 4 + 2


def test_interruption_keeps_what_was_committed_and_ends_the_threads(catalog, folder):
    save_photographs(folder, 12)

    def interrupt(progress: Progress) -> None:
        if progress.added == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(
            catalog,
            ThumbnailEncoder(),
            read_manifest(folder),
            batch_size=4,
            on_progress=interrupt,
        )

    assert len(held(catalog)) == 8
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ingest")]
    assert counts(ingest(catalog, ThumbnailEncoder(), read_manifest(folder))) == (4, 8, 0, 0)


@pytest.mark.parametrize(
    "vectors", [np.zeros((2, 5), np.float32), np.full((2, 192), np.nan, np.float32)]
)
def test_unusable_vectors_are_refused_before_they_are_stored(catalog, folder, vectors):
    save_photographs(folder, 2)
    encoder = ThumbnailEncoder()
    encoder.encode = lambda images: vectors

    with pytest.raises(ValueError, match="check its weights"):
        ingest(catalog, encoder, read_manifest(folder))
    assert held(catalog) == ()


def test_a_further_encoder_that_fails_keeps_nothing_out(catalog, folder, caplog):
    save_photographs(folder, 3)
    catalog.encoders.register(RegisteredEncoder("another", "somewhere", None))

    def broken(_images):
        raise RuntimeError("out of memory")

    further = OtherEncoder()
    further.encode = broken
    report = ingest(
        catalog, ThumbnailEncoder(), read_manifest(folder), load=lambda registered: further
    )
    assert counts(report) == (3, 0, 0, 0)
    assert catalog.models() == ("thumbnail-8",)
    assert "encoder another failed" in caplog.text


def test_a_source_deleted_meanwhile_is_skipped(catalog, folder, monkeypatch):
    save_photographs(folder, 2)
    path = manifest(folder, {"path": "000.png", "title": "a"}, {"path": "001.png", "title": "a"})
    ingest(catalog, ThumbnailEncoder(), read_manifest(path))
    second = held(catalog)[1]
    embeddings = catalog.embeddings

    def found_then_deleted(model_id, vector_ids):
        found = embeddings(model_id, vector_ids)
        if vector_ids == [second.vector_id]:
            catalog.delete(source_ids=[second.source_id])
        return found

    monkeypatch.setattr(catalog, "embeddings", found_then_deleted)
    report = ingest(catalog, ThumbnailEncoder(), read_manifest(path), workers=2)
    assert counts(report) == (0, 1, 0, 1)
    assert "deleted meanwhile" in report.skipped[0].reason


def test_a_catalog_that_fails_is_no_skipped_file(catalog, folder):
    save_photographs(folder, 2)
    catalog.close()

    with pytest.raises(CatalogClosed):
        ingest(catalog, ThumbnailEncoder(), read_manifest(folder))


@pytest.mark.parametrize("option", ["batch_size", "workers"])
def test_options_must_be_positive(catalog, option):
    with pytest.raises(ValueError, match="at least 1"):
        ingest(catalog, ThumbnailEncoder(), [], **{option: 0})


def test_rows_may_be_made_by_hand(catalog, folder):
    save_photographs(folder, 1)
    for uri in ("a", "b"):
        report = ingest(
            catalog, ThumbnailEncoder(), [ManifestRow(folder / "000.png", uri, stated={"uri": uri})]
        )

    assert report.updated == 1
    assert held(catalog)[0].uri == "b"


class HeldEncoder(ThumbnailEncoder):
    def encode(self, images):
        if sum(self.batches) > 24:
            time.sleep(3600)  # it is to be killed half-way
        return super().encode(images)


def ingest_half(data, folder):
    with Catalog.open(data) as catalog:
        ingest(
            catalog,
            HeldEncoder(),
            read_manifest(folder),
            batch_size=2,
            on_progress=lambda progress: print(progress.added, flush=True),
        )


def test_kill_and_run_again_keeps_every_acknowledged_source_once(tmp_path, folder):
    save_photographs(folder, 40)
    with Fork(ingest_half, tmp_path / "var", folder) as process:
        acknowledged = 0
        while acknowledged < 14:
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert acknowledged < 40

    with Catalog.open(tmp_path / "var") as catalog:
        kept = held(catalog)
        assert [source.uri for source in kept[:acknowledged]] == [
            str(path) for path in sorted(folder.iterdir())[:acknowledged]
        ]
        encoder = ThumbnailEncoder()
        report = ingest(catalog, encoder, read_manifest(folder))

        assert counts(report) == (40 - len(kept), len(kept), 0, 0)
        assert sum(encoder.batches) == 40 - len(kept)
        sources = held(catalog)
        assert sources[: len(kept)] == kept
        assert len({source.sha256 for source in sources}) == len(sources) == 40
        vector_ids = [source.vector_id for source in sources]
        assert catalog.embeddings("thumbnail-8", vector_ids).shape == (40, 192)
        assert all(catalog.preview(source.source_id)[:3] == b"\xff\xd8\xff" for source in sources)
