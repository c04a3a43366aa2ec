"""A gallery in a real catalog: who is in which collection, what is ingested and what is refused."""

import dataclasses
import hashlib
import json
import shutil
import tarfile

import numpy as np
import pytest

from attribution.catalog import Catalog
from attribution.evaluation.benchmark.cases import BadBenchmark
from attribution.evaluation.benchmark.formats import read_benchmark
from attribution.evaluation.decisions.gallery import (
    ASKED,
    ASKED_SET,
    DISTRACTORS,
    fill_gallery,
    plan_gallery,
)


class Brightness:
    """Embeds an image by the brightness of its quarters; counts what it has seen."""

    model_id = "brightness"
    dimension = 4

    def __init__(self):
        self.seen = 0

    def encode(self, images):
        self.seen += len(images)
        rows = [
            np.asarray(image.convert("L").resize((2, 2)), np.float32).ravel() for image in images
        ]
        return np.stack([row / np.linalg.norm(row) for row in rows])


@pytest.fixture
def data(tmp_path, draw):
    """Sources 0 and 1 of set a, 1 and 2 of set b, 3 of set c, which also has a query without."""
    folder = tmp_path / "bench"
    for seed in range(4):
        draw(folder / f"source-{seed}.png", seed)
    for seed in range(10, 15):
        draw(folder / "distractors" / f"{seed}.png", seed)
    shutil.copy(folder / "source-2.png", folder / "distractors" / "copy.png")
    shutil.copy(folder / "source-3.png", folder / "source-3-again.png")
    rows = [("a", [0]), ("a", [0, 1]), ("b", [1, 2]), ("c", [3]), ("c", ["3-again"]), ("c", [])]
    lines = []
    for number, (name, sources) in enumerate(rows):
        query = draw(folder / f"query-{number}.png", 100 + number).name
        named = [{"image": f"source-{source}.png"} for source in sources]
        lines.append(json.dumps({"query": query, "sources": named, "set": name}) + "\n")
    (folder / "manifest.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def benchmark(data):
    return read_benchmark(data, distractors=data / "distractors")


@pytest.fixture
def plan(benchmark):
    return plan_gallery(benchmark)


def test_leaving_a_set_out_leaves_out_all_of_its_sources_and_nothing_else(plan, data):
    where = {}
    for each in plan.images:
        where.setdefault(each.collection, set()).add(each.sha256)

    def digest(name):
        return hashlib.sha256((data / name).read_bytes()).hexdigest()

    everything = set().union(*where.values())
    assert len(everything) == len(plan.images) == 4 + 5  # copies are the source that they are of
    for name, sources in {"a": (0, 1), "b": (1, 2), "c": (3,)}.items():
        searched = set().union(*(where[collection] for collection in plan.without[name]))
        gone = {digest(f"source-{source}.png") for source in sources}
        assert searched == everything - gone
    assert plan.sha256s["source-3-again.png"] == plan.sha256s["source-3.png"]
    assert len(where[DISTRACTORS]) == 4
    assert len(where[ASKED]) == 1


def test_some_distractors_are_asked_about_where_only_they_are_missing(plan, benchmark):
    (case,) = plan.asked
    digest = min(each.sha256 for each in plan.images if each.picture in benchmark.distractors)
    assert plan.sha256s[case.truths[0].key] == digest
    assert hashlib.sha256(case.picture.read()).hexdigest() == digest
    searched = {e.sha256 for e in plan.images if e.collection in plan.without[ASKED_SET]}
    assert searched == {each.sha256 for each in plan.images} - {digest}
    again = plan_gallery(dataclasses.replace(benchmark, distractors=benchmark.distractors[::-1]))
    assert [each.query.key for each in again.asked] == [case.query.key]


def test_the_catalog_holds_what_was_planned(plan, tmp_path):
    encoder, told = Brightness(), []
    with Catalog.open(tmp_path / "gallery") as catalog:
        fill_gallery(catalog, encoder, plan, on_images=lambda *each: told.append(each))
        page = catalog.sources(limit=100)
        held = {(source.collection, source.sha256, source.uri) for source in page.items}
        assert held == {(e.collection, e.sha256, e.picture.key) for e in plan.images}
        assert catalog.preview(page.items[0].source_id).startswith(b"\xff\xd8")
    assert encoder.seen == len(plan.images)
    assert told[0] == (0, 9)
    assert told[-1] == (9, 9)


def test_only_what_is_missing_is_encoded(plan, tmp_path):
    half = dataclasses.replace(plan, images=plan.images[:5])
    encoder = Brightness()
    with Catalog.open(tmp_path / "gallery") as catalog:
        fill_gallery(catalog, encoder, half)
        fill_gallery(catalog, encoder, plan)
        fill_gallery(catalog, encoder, plan)
        assert encoder.seen == 9
        other = Brightness()
        other.model_id = "another"
        fill_gallery(catalog, other, plan)
        assert other.seen == 9
        assert len(catalog.sources(limit=100).items) == 9


def test_sources_of_another_benchmark_are_refused(plan, tmp_path):
    half = dataclasses.replace(plan, images=plan.images[:5])
    with Catalog.open(tmp_path / "gallery") as catalog:
        fill_gallery(catalog, Brightness(), plan)
        with pytest.raises(BadBenchmark, match="which is not of this benchmark"):
            fill_gallery(catalog, Brightness(), half)


def test_distractors_come_out_of_tar_files_too(data, tmp_path):
    with tarfile.open(data / "shard.tar", "w") as archive:
        archive.add(data / "distractors", ".")
    plan = plan_gallery(read_benchmark(data, distractors=data / "shard.tar"))
    with Catalog.open(tmp_path / "gallery") as catalog:
        fill_gallery(catalog, Brightness(), plan)
        assert catalog.collection(DISTRACTORS).sources == 4
        assert catalog.collection(ASKED).sources == 1


def test_an_image_that_cannot_be_read_is_named(data, tmp_path):
    (data / "distractors" / "broken.png").write_bytes(b"\x89PNG and then nothing")
    plan = plan_gallery(read_benchmark(data, distractors=data / "distractors"))
    with (
        Catalog.open(tmp_path / "gallery") as catalog,
        pytest.raises(BadBenchmark, match=r"distractors/broken\.png: "),
    ):
        fill_gallery(catalog, Brightness(), plan)


def test_a_source_that_goes_missing_is_named(data, benchmark):
    (data / "source-2.png").unlink()
    with pytest.raises(BadBenchmark, match=r"source-2\.png: no such image"):
        plan_gallery(benchmark)


def test_queries_that_are_sources_are_refused(tmp_path, draw):
    for seed in range(4):
        draw(tmp_path / f"subject-{seed % 2}" / f"{seed}.png", seed)
    with pytest.raises(BadBenchmark, match="give a manifest of queries"):
        plan_gallery(read_benchmark(tmp_path))
