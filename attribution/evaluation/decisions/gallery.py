"""A benchmark's gallery as a catalog, laid out so that a set's sources can be left out of a search.

Each combination of sets that a source belongs to is a collection of its own, and the distractors
are another: a filter on collections then searches the gallery as if a set's sources had never been
added, and the null under a filter is that of the filter. Some of the distractors lie apart, to be
asked about themselves. Knows no answer.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from attribution.catalog import Catalog
from attribution.evaluation.benchmark.cases import BadBenchmark, Benchmark, Case, Picture, Truth
from attribution.ingestion import ImageEncoder, ManifestRow, ingest

DISTRACTORS = "distractors"
ASKED = "distractors-asked"
"""Collection of those that are asked about themselves."""
ASKED_SET = "distractors themselves"
"""The set that their queries form."""
LARGEST_ASKED = 400
_BLOCK = 512  # files spooled at once: bounds the disk that images of tar files take


@dataclass(frozen=True, slots=True)
class Placed:
    """An image of the gallery, the digest of its file, and where it belongs."""

    picture: Picture
    sha256: str
    collection: str


@dataclass(frozen=True, slots=True)
class GalleryPlan:
    """Which image goes where.

    Attributes:
        images: each file once in its collection.
        sha256s: gallery key of a true source -> digest. Two keys with the same bytes are the
            same source.
        without: set -> the collections that hold none of its sources.
        asked: distractors as queries, each its own source; `ASKED_SET`.
    """

    images: tuple[Placed, ...]
    sha256s: Mapping[str, str]
    without: Mapping[str, frozenset[str]]
    asked: tuple[Case, ...] = ()


def plan_gallery(benchmark: Benchmark) -> GalleryPlan:
    """Read every image's bytes and decide where it goes.

    A distractor whose bytes are a source's is that source and is left out. Of the others
    `LARGEST_ASKED` are asked about, a fifth at most: those of the smallest digests, so that it is
    the same ones wherever they lie.

    Raises:
        BadBenchmark: a missing file, or queries that must not find themselves (`instances`).
    """
    if any(case.excluded for case in benchmark.cases):
        raise BadBenchmark(
            f"{benchmark.name}: its queries are images of the gallery, and decisions are measured "
            "on queries that are not: give a manifest of queries and their sources"
        )
    sources = {picture.key: _digest(picture) for picture in benchmark.sources}
    sets: dict[str, set[str]] = {}
    for case in benchmark.ranked:
        for truth in case.truths:
            sets.setdefault(sources[truth.key], set()).add(case.set)
    combinations = list(dict.fromkeys(frozenset(names) for names in sets.values()))
    collections = {each: f"sources-{number}" for number, each in enumerate(combinations, start=1)}
    placed: dict[str, Placed] = {}
    for picture in benchmark.gallery:
        digest = sources.get(picture.key) or _digest(picture)
        named = frozenset(sets.get(digest, ()))
        placed.setdefault(digest, Placed(picture, digest, collections.get(named, DISTRACTORS)))
    distractors = sorted(each.sha256 for each in placed.values() if each.collection == DISTRACTORS)
    asked = distractors[: min(LARGEST_ASKED, len(distractors) // 5)]
    for digest in asked:
        placed[digest] = replace(placed[digest], collection=ASKED)
    held = {each.collection for each in placed.values()}
    without = {
        name: frozenset(held - {collections[each] for each in combinations if name in each})
        for name in dict.fromkeys(case.set for case in benchmark.ranked)
    }
    pictures = [placed[digest].picture for digest in asked]
    if pictures:
        without[ASKED_SET] = frozenset(held - {ASKED})
    return GalleryPlan(
        tuple(placed.values()),
        sources | {each.key: digest for each, digest in zip(pictures, asked, strict=True)},
        without,
        tuple(Case(each, (Truth(each.key),), ASKED_SET) for each in pictures),
    )


def fill_gallery(
    catalog: Catalog,
    encoder: ImageEncoder,
    plan: GalleryPlan,
    *,
    on_images: Callable[[int, int], None] | None = None,
) -> None:
    """Ingest what the catalog lacks of a plan, with the code that ingests anyone's images.

    May be interrupted and run again.

    Args:
        catalog: of this plan, or empty.
        encoder: whose embeddings are wanted.
        plan: what belongs there.
        on_images: called with the number of images that are there, and how many there will be.

    Raises:
        BadBenchmark: the catalog holds something else, or an image cannot be read.
    """
    _refuse_others(catalog, plan)
    held = _embedded(catalog, encoder.model_id)
    missing = [each for each in plan.images if (each.collection, each.sha256) not in held]
    there = len(plan.images) - len(missing)

    def show(before: int, done: int) -> None:
        if on_images is not None:
            on_images(there + before + done, len(plan.images))

    show(0, 0)
    for start in range(0, len(missing), _BLOCK):
        block = missing[start : start + _BLOCK]
        _ingest(catalog, encoder, block, partial(show, start))


def _ingest(
    catalog: Catalog, encoder: ImageEncoder, block: Sequence[Placed], show: Callable[[int], None]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = list(_spooled(block, Path(folder)))
        report = ingest(catalog, encoder, rows, on_progress=lambda state: show(state.done))
    for skipped in report.skipped:
        place = block[int(skipped.path.name)].picture.place
        raise BadBenchmark(f"{place}: {skipped.reason}")


def _digest(picture: Picture) -> str:
    try:
        return hashlib.sha256(picture.read()).hexdigest()
    except FileNotFoundError as error:
        raise BadBenchmark(f"{picture.place}: no such image") from error


def _spooled(block: Sequence[Placed], folder: Path) -> Iterator[ManifestRow]:
    """Each image as a file named by its place in the block: images of tar files have none."""
    for number, each in enumerate(block):
        path = folder / str(number)
        path.write_bytes(each.picture.read())
        uri = each.picture.key
        yield ManifestRow(path, uri, each.collection, stated={"uri": uri})


def _refuse_others(catalog: Catalog, plan: GalleryPlan) -> None:
    """Sources that are not of the plan would compete, and would never be true."""
    expected = {(each.collection, each.sha256) for each in plan.images}
    cursor = None
    while True:
        page = catalog.sources(limit=1000, cursor=cursor)
        for source in page.items:
            if (source.collection, source.sha256) not in expected:
                raise BadBenchmark(
                    f"the gallery's folder holds {source.uri or source.source_id}, which is not "
                    "of this benchmark and its distractors: give a folder of its own"
                )
        cursor = page.next_cursor
        if cursor is None:
            return


def _embedded(catalog: Catalog, model_id: str) -> set[tuple[str, str]]:
    """Collection and digest of every source that has an embedding of this encoder."""
    found: set[tuple[str, str]] = set()
    last = 0
    while len(page := catalog.live_embeddings(model_id, after_vector_id=last)):
        ids = page.vector_ids.tolist()
        found |= {
            (source.collection, source.sha256) for source in catalog.by_vector_ids(ids).values()
        }
        last = int(ids[-1])
    return found
