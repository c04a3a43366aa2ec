"""Workers and the one process that writes, without what runs them elsewhere."""

import io
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attribution.catalog import Catalog, RegisteredEncoder, SourceFilter
from attribution.ingestion import Shard, expanded, ingest, read_manifest
from attribution.ingestion.bulk import Held, Orders, ingest_on_workers
from attribution.ingestion.bulk.worker import OtherEncoder, Ready, Seen, Worker
from attribution.ingestion.shards import rows_in
from tests.support.pictures import draw, small_jpeg

LIMIT = 1_000_000


class Encoder:
    """Means of colours, which is enough to tell pictures apart."""

    model_id = "means"
    dimension = 12

    def encode(self, images):
        rows = [
            np.asarray(image.resize((2, 2), Image.Resampling.BOX), np.float32).ravel() + 1
            for image in images
        ]
        return np.stack([row / np.linalg.norm(row) for row in rows])


class Another(Encoder):
    model_id = "another"


def load_another(registered):
    assert registered.model_id == "another"
    return Another()


@dataclass
class InTurn:
    """Workers that do one batch after the other, here."""

    fails_after: int = LIMIT
    encoded: int = 0
    rounds: int = 0

    def __call__(self, orders, held, work):
        self.rounds += 1
        worker = Worker(orders, held)
        for each in work:
            batch = [*rows_in(each, max_bytes=LIMIT)] if isinstance(each, Shard) else each
            results = worker(batch)
            self.encoded += sum(isinstance(result, Ready) for result in results)
            if self.encoded > self.fails_after:
                raise ConnectionError("the cluster is gone")
            yield results


ORDERS = Orders(Encoder, "means", load_another, Path())


@pytest.fixture
def catalog(tmp_path):
    with Catalog.open(tmp_path / "data") as catalog:
        yield catalog


@pytest.fixture
def folder(tmp_path):
    folder = draw(tmp_path / "pictures", range(7))
    (folder / "003b.jpg").write_bytes((folder / "003.jpg").read_bytes())
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    with tarfile.open(folder / "s.tar", "w") as archive:
        for name, data in (("9.jpg", small_jpeg(9)), ("9.txt", b"Nine")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return folder


def all_of(folder):
    return [*read_manifest(folder), Shard(str(folder / "s.tar"), folder / "s.tar")]


def contents(catalog):
    found = catalog.sources(SourceFilter(), limit=100).items
    vectors = catalog.embeddings("means", [source.vector_id for source in found])
    return [
        (source.sha256, source.uri, source.title, source.width, source.format,
         catalog.preview(source.source_id), vector.tobytes())
        for source, vector in zip(found, vectors, strict=True)
    ]  # fmt: skip


def test_workers_bring_what_one_machine_writes(catalog, folder, tmp_path):
    report = ingest_on_workers(catalog, ORDERS, all_of(folder), InTurn(), batch_size=3)
    with Catalog.open(tmp_path / "plain") as plain:
        expected = ingest(plain, Encoder(), expanded(all_of(folder), max_bytes=LIMIT), batch_size=3)
        assert report.skipped == expected.skipped
        assert (expected.added, expected.unchanged) == (8, 1)
        assert (report.added, report.unchanged, len(report.skipped)) == (8, 1, 1)
        assert contents(catalog) == contents(plain)


def test_a_run_that_broke_off_goes_on_where_it_was(catalog, folder):
    broken = InTurn(fails_after=3)
    with pytest.raises(ConnectionError):
        ingest_on_workers(catalog, ORDERS, all_of(folder), broken, batch_size=2)
    held = len(contents(catalog))
    assert held == 2
    again = InTurn()
    report = ingest_on_workers(
        catalog, ORDERS, all_of(folder), again, batch_size=2, batches_at_once=2
    )
    assert (report.added, report.unchanged) == (8 - held, held + 1)
    assert (again.encoded, again.rounds) == (8 - held, 3)  # 003b is seen in a later round
    assert len(contents(catalog)) == 8


def test_what_is_held_is_looked_up_before_it_is_decoded(catalog, folder):
    ingest_on_workers(catalog, ORDERS, all_of(folder), InTurn())
    worker = Worker(ORDERS, Held.of(catalog, "means"))
    results = worker([*read_manifest(folder)])
    assert [type(result) for result in results[:8]] == [Seen] * 8
    assert all(
        isinstance(result, Ready)
        for result in worker([*read_manifest(folder, collection="other")])[:8]
    )
    assert not Held.of(catalog, "another").has("default", results[0].sha256)


def test_what_was_deleted_or_taken_down_meanwhile_is_skipped(catalog, folder):
    ingest_on_workers(catalog, ORDERS, all_of(folder), InTurn())
    rows = [*read_manifest(folder)][:2]
    gone, taken = catalog.sources(SourceFilter(), limit=2).items

    def meanwhile(orders, held, work):
        catalog.delete(source_ids=[gone.source_id])
        catalog.takedowns.take(source_ids=[taken.source_id], reason="asked")
        yield from InTurn()(orders, held, work)

    report = ingest_on_workers(catalog, ORDERS, rows, meanwhile)
    assert [each.reason.partition(":")[0] for each in report.skipped] == [
        "was deleted meanwhile",
        "was taken down, and may not be added again (attribution takedown --list)",
    ]


def test_sources_get_a_row_of_every_registered_encoder(catalog, folder):
    catalog.encoders.register(RegisteredEncoder("another", "elsewhere", None))
    orders = replace(ORDERS, registered=tuple(catalog.encoders.registry().encoders), threads=3)
    ingest_on_workers(catalog, orders, all_of(folder), InTurn())
    assert catalog.models() == ("another", "means")


def test_a_worker_with_other_weights_is_refused():
    with pytest.raises(OtherEncoder, match="the same weights on every machine"):
        Worker(replace(ORDERS, load=Another), Held.nothing())


def test_paths_are_read_from_where_the_run_began(folder, tmp_path):
    [row, *_] = read_manifest(folder)
    worker = Worker(replace(ORDERS, folder=tmp_path), Held.nothing())
    [result] = worker([replace(row, path=Path("pictures/000.jpg"))])
    assert isinstance(result, Ready)
    assert result.row.content is None
