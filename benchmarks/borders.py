"""Whether looking for a picture within a picture helps where there is one, and hurts elsewhere.

Queries of a benchmark with a manifest are asked as they are, between black bars, on a page and in a
screenshot; and sources that frame a picture themselves are asked about, saved again. Each is asked
whole, cut out before encoding, and both ways with p-values of two looks. The gallery is a data
folder into which the sources were ingested, with others beside them.

    attribution ingest GALLERY --data var
    python benchmarks/borders.py DATA --data var --out borders.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from app.settings import Settings
from attribution.answer import Attribution
from attribution.attributor import Attributor, Terms
from attribution.catalog import Catalog
from attribution.evaluation.benchmark.formats import read_benchmark
from attribution.evaluation.statistics.intervals import clopper_pearson
from attribution.looks import WHOLE, Way, best_of
from attribution.opening.gallery import open_gallery
from attribution.opening.load import load_vision
from attribution.synthesis.laundering import recompressed
from models.images.borders import content_box, cut_out
from models.images.decoding import decode

_Place = tuple[int, int]
Frame = Callable[[Image.Image, np.random.Generator], tuple[Image.Image, _Place]]
"""Lays a picture into a larger one, and says where."""
LOOKS = ("whole", "cut out", "both")
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, and the digests of the sources that it may be attributed to."""

    image: Image.Image
    truths: frozenset[str]


def barred(image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, _Place]:
    """Black bars above and below, or on both sides, a fifth to three sevenths of the whole."""
    width, height = image.size
    factor = rng.uniform(1.25, 1.75)
    size = (width, int(height * factor)) if rng.random() < 0.6 else (int(width * factor), height)
    whole = Image.new("RGB", size, "black")
    at = ((size[0] - width) // 2, (size[1] - height) // 2)
    whole.paste(image, at)
    return whole, at


def on_page(image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, _Place]:
    """Light margins of unequal width, every second time with a caption."""
    width, height = image.size
    left, right, top, bottom = (rng.uniform(0.08, 0.5, 4) * [width, width, height, height]).tolist()
    paper = int(rng.integers(225, 256))
    size = int(width + left + right), int(height + top + bottom)
    whole, at = Image.new("RGB", size, (paper,) * 3), (int(left), int(top))
    whole.paste(image, at)
    if rng.random() < 0.5 and bottom > 14:
        ImageDraw.Draw(whole).text((at[0], at[1] + height + 3), "Figure 3. A view.", fill="black")
    return whole, at


def on_screen(image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, _Place]:
    """A light or a dark application with a bar, a line of state above and lines of text below."""
    width, height = image.size
    size = int(width * rng.uniform(1.1, 1.8)), int(height * rng.uniform(1.5, 2.2))
    dark = rng.random() < 0.5
    paper, ink = ((24, 24, 28), (220, 220, 220)) if dark else ((250, 250, 250), (30, 30, 30))
    whole = Image.new("RGB", size, paper)
    drawn = ImageDraw.Draw(whole)
    if rng.random() < 0.6:
        drawn.rectangle((0, 0, size[0], 14), fill=(60, 90, 160))
    drawn.text((4, 1), "9:41   Gallery", fill=(235, 235, 235))
    at = ((size[0] - width) // 2, int(rng.integers(18, max(19, size[1] - height - 40))))
    whole.paste(image, at)
    for line in range(at[1] + height + 6, size[1] - 12, 14):
        drawn.text((6, line), "what somebody says of it, at some length", fill=ink)
    return whole, at


def page_in_bars(image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, _Place]:
    """A page between black bars, as a film shows it."""
    page, at = on_page(image, rng)
    bar = int(page.width * rng.uniform(0.1, 0.4))
    whole = Image.new("RGB", (page.width + 2 * bar, page.height))
    whole.paste(page, (bar, 0))
    return whole, (at[0] + bar, at[1])


def in_viewer(image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, _Place]:
    """A dark program that shows a picture, with what it says of it in a panel on the right."""
    width, height = image.size
    left, right, top, bottom = (
        rng.uniform(0.05, 0.25, 4) * [width, width, height, height]
    ).tolist()
    panel = int(width * rng.uniform(0.3, 0.6))
    at, dark = (int(left), int(top)), int(rng.integers(16, 40))
    size = int(width + left + right) + panel, int(height + top + bottom)
    whole = Image.new("RGB", size, (dark,) * 3)
    drawn, lighter = ImageDraw.Draw(whole), dark + int(rng.integers(15, 50))
    drawn.rectangle((size[0] - panel, 0, *size), fill=(lighter,) * 3)
    for line in range(8, size[1] - 12, 14):
        drawn.text((size[0] - panel + 6, line), "f/4 1/250"[: panel // 7], fill=(200, 200, 200))
    whole.paste(image, at)
    return whole, at


def dark_in_bars(image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, _Place]:
    """A picture of the night, of 25 to 60 levels, between black bars."""
    levels, black = rng.uniform(25, 60), rng.uniform(2, 8)
    return barred(image.point(lambda level: int(level / 255 * levels + black)), rng)


def on_itself(image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, _Place]:
    """In the middle of its own enlargement, blurred and every second time darkened."""
    width, height = image.size
    factor = rng.uniform(1.4, 2.6)
    size = (int(width * factor), height) if rng.random() < 0.6 else (width, int(height * factor))
    whole = ImageOps.fit(image, size)
    whole = whole.filter(ImageFilter.GaussianBlur(max(size) * rng.uniform(0.02, 0.06)))
    if rng.random() < 0.5:
        share = rng.uniform(0.5, 0.9)
        whole = whole.point(lambda level: int(level * share))
    at = ((size[0] - width) // 2, (size[1] - height) // 2)
    whole.paste(image, at)
    return whole, at


def on_squares(image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, _Place]:
    """On the squares that stand for transparency."""
    width, height = image.size
    left, right, top, bottom = (rng.uniform(0.08, 0.4, 4) * [width, width, height, height]).tolist()
    size = int(width + left + right), int(height + top + bottom)
    side, light, darker = int(rng.integers(6, 17)), 255, int(rng.choice([153, 191, 204]))
    down, across = np.mgrid[: size[1], : size[0]] // side
    squares = np.where((down + across) % 2, darker, light).astype(np.uint8)
    whole, at = Image.fromarray(squares).convert("RGB"), (int(left), int(top))
    whole.paste(image, at)
    return whole, at


FRAMES: dict[str, Frame] = {
    "bars": barred,
    "page": on_page,
    "screenshot": on_screen,
    "page in bars": page_in_bars,
    "viewer": in_viewer,
    "dark in bars": dark_in_bars,
    "its own backdrop": on_itself,
    "squares": on_squares,
}


def framed(asked: Sequence[Asked], frame: Frame) -> tuple[list[Asked], float]:
    """Queries in a frame, saved as JPEG 85, and how often what was framed is found (IoU > .9)."""
    rng, found, queries = np.random.default_rng(0), 0, []
    for each in asked:
        whole, at = frame(each.image, rng)
        whole = recompressed(whole, 85)
        queries.append(Asked(whole, each.truths))
        true = (*at, at[0] + each.image.width, at[1] + each.image.height)
        box = content_box(whole)
        found += box is not None and overlap(box, true) > 0.9
    return queries, found / max(1, len(queries))


def count_boxes(asked: Sequence[Asked]) -> dict[str, object]:
    """In how many queries as they are a box is found, and the right one in how many of a frame."""
    cuts = sum(content_box(each.image) is not None for each in asked)
    found = {name: round(framed(asked, frame)[1], 3) for name, frame in FRAMES.items()}
    return {"queries": len(asked), "cut as they are": cuts, "found": found}


def overlap(first: Sequence[int], second: Sequence[int]) -> float:
    """Intersection over union of two boxes."""
    sides = [
        min(first[axis + 2], second[axis + 2]) - max(first[axis], second[axis]) for axis in (0, 1)
    ]
    both = max(0, sides[0]) * max(0, sides[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return both / (sum(areas) - both)


def measure(attributor: Attributor, asked: Sequence[Asked], alpha: float) -> dict[str, object]:
    """Figures of each way of looking at these queries."""
    answers: dict[str, list[Attribution]] = {look: [] for look in LOOKS}
    cuts = 0
    for start in range(0, len(asked), _BLOCK):
        block = [each.image for each in asked[start : start + _BLOCK]]
        found = [cut_out(image) for image in block]
        cuts += sum(each is not None for each in found)
        inner = [image if cut is None else cut[0] for image, cut in zip(block, found, strict=True)]
        whole, cut = (_answers(attributor, images, alpha) for images in (block, inner))
        answers["whole"] += whole
        answers["cut out"] += cut
        answers["both"] += [
            one if cut is None else best_of((one, other), (Way(WHOLE), Way(1 - WHOLE)))
            for one, other, cut in zip(whole, cut, found, strict=True)
        ]
    return {"queries": len(asked), "cut": cuts} | {
        look: figures(asked, given) for look, given in answers.items()
    }


def figures(asked: Sequence[Asked], answers: Sequence[Attribution]) -> dict[str, object]:
    """The share of queries whose first source is a true one, is so and attributed, is attributed.

    Intervals are Clopper and Pearson's of 95 %, as if queries were independent.
    """
    firsts = [answer.sources[0] for answer in answers]
    right = [first.source.sha256 in each.truths for first, each in zip(firsts, asked, strict=True)]
    attributed = [first.attributed for first in firsts]
    both = [one and other for one, other in zip(right, attributed, strict=True)]
    named = {"first_right": right, "attributed_right": both, "attributed": attributed}
    return {name: _share(sum(values), len(values)) for name, values in named.items()}


def _share(count: int, of: int) -> dict[str, float]:
    low, high = clopper_pearson(count, of)
    return {"share": round(count / of, 4), "low": round(low, 4), "high": round(high, 4)}


def _answers(
    attributor: Attributor, images: Sequence[Image.Image], alpha: float
) -> list[Attribution]:
    rows = attributor.encoder.encode(images, domain="query")
    return attributor.attribute(rows, Terms(top_k=1, alpha=alpha))


def benchmark_queries(folder: Path, limit: int) -> dict[str, list[Asked]]:
    """By set, at most so many of each, at random."""
    by_set: dict[str, list[Asked]] = {}
    cases = list(read_benchmark(folder).cases)
    np.random.default_rng(0).shuffle(cases)
    for case in cases:
        chosen = by_set.setdefault(case.set, [])
        if len(chosen) < limit:
            digests = (_digest(folder / truth.key) for truth in case.truths)
            chosen.append(Asked(case.picture.load(), frozenset(digests)))
    return by_set


def framed_sources(catalog: Catalog, limit: int) -> list[Asked]:
    """Sources that frame a picture, four fifths as large and saved as JPEG 60."""
    found = []
    for source, preview in _previews(catalog):
        image = decode(preview).image
        if len(found) < limit and content_box(image) is not None:
            small = image.resize((image.width * 4 // 5, image.height * 4 // 5))
            found.append(Asked(recompressed(small, 60), frozenset({source})))
    return found


def _previews(catalog: Catalog) -> Iterator[tuple[str, bytes]]:
    cursor = None
    while True:
        page = catalog.sources(limit=500, cursor=cursor)
        for source in page.items:
            yield source.sha256, catalog.preview(source.source_id)
        if (cursor := page.next_cursor) is None:
            return


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Measure every condition and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, help="the gallery; without it only boxes are counted")
    parser.add_argument("--limit", type=int, default=150, help="queries of each set")
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    by_set = benchmark_queries(given.folder, given.limit)
    if given.data is None:
        boxes = {name: count_boxes(asked) for name, asked in by_set.items()}
        given.out.write_text(json.dumps({"boxes": boxes}, indent=1) + "\n", encoding="utf-8")
        return
    settings = Settings(data=given.data)
    results: dict[str, object] = {}
    with open_gallery(settings, load_vision(settings)) as gallery:
        gallery.prepare()
        own = framed_sources(gallery.catalog, given.limit)
        results["sources that frame a picture"] = measure(gallery.attributor, own, given.alpha)
        for name, asked in by_set.items():
            results[f"{name}, as they are"] = measure(gallery.attributor, asked, given.alpha)
            for kind, frame in FRAMES.items():
                queries, found = framed(asked, frame)
                measured = measure(gallery.attributor, queries, given.alpha)
                results[f"{name}, {kind}"] = measured | {"found": round(found, 4)}
                print(name, kind, json.dumps(results[f"{name}, {kind}"]), flush=True)
        vectors = gallery.index.stats().vectors
    document = {"machine": platform.machine(), "sources": vectors, "results": results}
    given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
