"""How well encoders rank true sources: R@1, R@5 and mAP per set, by head, clean and laundered.

    python benchmarks/retrieval_bench.py DATA [--encoder FOLDER] [--out FILE]

DATA holds `bench/` (a manifest of queries with their sources) and `pool/` (tar shards with an
index that marks distractors). Gallery: every source of the manifest and every distractor; all of
them compete. A query's positives are its own sources; AP is cut at rank 100. Heads are fitted on
pool images named in --fit (or all but the background), the distractors among them, so the figures
are partly transductive. Two launderings: `laundered` is JPEG 40, a crop of 70 % of the area, a
flip, hue and saturation shift; `unseen` draws one of rotation, posterising, a frame, a tone curve
with a screen pattern, blur with a colour cast and a bar: none of them is a training view.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps

from attribution.retrieval import Fusion
from attribution.training.fitting import PartPlan, fit_parts
from attribution.training.images import ImageSet, read_images
from models.backbones.residual import ResidualNet
from models.checkpoints import load_encoder_folder
from models.encoder import Encoder
from models.heads import Head
from models.loading import encoder_folder
from models.preprocessing import Preprocessing

CUT = 100
SETS = ("single_image_gan", "splice", "deep_photo")


@dataclass(frozen=True)
class Query:
    """One row of the manifest."""

    path: Path
    set: str
    sources: tuple[str, ...]


def launder(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """JPEG 40, a random crop of 70 % of the area, a flip, hue and saturation shift."""
    width, height = image.size
    side = 0.7**0.5
    across, down = int(width * side), int(height * side)
    left, top = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
    image = image.crop((left, top, left + across, top + down))
    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    hsv = np.asarray(image.convert("HSV")).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + int(255 * rng.uniform(-0.06, 0.06))) % 256
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.6, 1.4), 0, 255)
    image = Image.fromarray(hsv.astype(np.uint8), "HSV").convert("RGB")
    return _recompressed(image, 40)


def disguise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One of five treatments that no training view imitates."""
    kind = int(rng.integers(5))
    width, height = image.size
    if kind == 0:
        return image.rotate(
            float(rng.uniform(-12, 12)), Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)
        )
    if kind == 1:
        return ImageOps.posterize(image.filter(ImageFilter.MedianFilter(5)), 4)
    if kind == 2:
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        framed = Image.new("RGB", (int(width * 1.25), int(height * 1.25)), colour)
        framed.paste(image, (int(width * 0.1), int(height * 0.1)))
        return framed
    pixels = np.asarray(image, dtype=np.float64) / 255
    if kind == 3:
        x, y = np.arange(width)[None, :, None], np.arange(height)[:, None, None]
        pixels = pixels ** rng.choice([0.5, 2.0]) + 0.12 * np.sin(1.7 * x) * np.sin(1.7 * y)
    else:
        blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(1.2)), dtype=np.float64) / 255
        pixels = blurred * np.array([1.15, 1.0, 0.8])
        top = int(rng.integers(max(1, height // 2)))
        pixels[top : top + height // 5] *= 0.3
    return Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8))


CONDITIONS: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "clean": lambda image, _: image,
    "laundered": launder,
    "unseen": disguise,
}


def _recompressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as opened:
        return opened.convert("RGB")


def read_queries(bench: Path) -> list[Query]:
    """Rows of the manifest that have sources."""
    rows = [json.loads(line) for line in (bench / "manifest.jsonl").read_text().splitlines()]
    return [
        Query(bench / row["query"], row["set"], tuple(s["image"] for s in row["sources"]))
        for row in rows
        if row["set"] in SETS
    ]


def read_distractors(pool: Path) -> Iterator[Image.Image]:
    """Images of the pool that the index marks as distractors."""
    rows = [json.loads(line) for line in (pool / "index.jsonl").read_text().splitlines()]
    wanted = {row["file"] for row in rows if row["distractor"]}
    for shard in sorted(pool.glob("*.tar")):
        with tarfile.open(shard) as archive:
            for member in archive:
                stream = archive.extractfile(member)
                if member.name in wanted and stream is not None:
                    with Image.open(io.BytesIO(stream.read())) as image:
                        yield image.convert("RGB")


def open_rgb(path: Path) -> Image.Image:
    """A picture as RGB."""
    with Image.open(path) as image:
        return image.convert("RGB")


def describe(encoder: Encoder, images: Iterator[Image.Image]) -> np.ndarray:
    """Descriptors of any number of images before any head, a block at a time."""
    rows, waiting = [], iter(images)
    with torch.inference_mode():
        while block := list(islice(waiting, 128)):
            batch = torch.stack([encoder.preprocess(image) for image in block])
            rows.append(encoder.backbone(batch).pooled.numpy())
    return np.concatenate(rows)


def measure(
    scores: np.ndarray, queries: list[Query], names: dict[str, int], role: int | None = None
) -> dict[str, dict[str, float]]:
    """R@1 (any source), R@5 (share of the sources) and mAP of each set, and the mean mAP."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :CUT]
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SETS}
    for ranked, query in zip(order, queries, strict=True):
        sources = (
            query.sources if role is None else (query.sources[min(role, len(query.sources) - 1)],)
        )
        places = [np.flatnonzero(ranked == names[source]) for source in sources]
        ranks = sorted(int(place[0]) + 1 for place in places if len(place))
        precision = sum((k + 1) / rank for k, rank in enumerate(ranks)) / len(sources)
        recall = sum(rank <= 5 for rank in ranks) / len(sources)
        found[query.set].append((float(1 in ranks), recall, precision))
    result = {
        name: dict(zip(("R@1", "R@5", "mAP"), map(float, np.mean(rows, axis=0)), strict=True))
        for name, rows in found.items()
    }
    result["mean"] = {"mAP": float(np.mean([result[name]["mAP"] for name in SETS]))}
    return result


def heads_of(
    net: ResidualNet, images: ImageSet, shape: Preprocessing, components: int, limit: int
) -> dict[str, Head]:
    """Every head of the table, fitted on the same images."""
    plans = {
        "whiten": [PartPlan("whole", "whiten", ("views",), components)],
        "cca": [PartPlan("whole", "cca", ("views",), components)],
        "cca, two parts": [
            PartPlan("structure", "cca", ("views", "structure"), components),
            PartPlan("appearance", "cca", ("views", "appearance"), components),
        ],
    }
    flat = [plan for group in plans.values() for plan in group]
    named = [PartPlan(str(n), p.head, p.pairs, p.components) for n, p in enumerate(flat)]
    fitted = dict(enumerate(fit_parts(net, images, named, shape, limit=limit)))
    heads, place = {}, 0
    for name, group in plans.items():
        heads[name] = Head(net.dimension, [fitted[place + n] for n in range(len(group))])
        place += len(group)
    return heads


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoder", default="bundled")
    parser.add_argument("--background", type=Path, help="names kept out of head fitting")
    parser.add_argument("--components", type=int, default=512)
    parser.add_argument("--head-images", type=int, default=5_000, help="fit heads on so many")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    folder = encoder_folder(options.encoder)
    if folder is None:
        sys.exit("this benchmark refits heads, so it needs an encoder folder")
    encoder = load_encoder_folder(folder)
    net = encoder.backbone
    if not isinstance(net, ResidualNet):
        sys.exit("this benchmark refits heads of the project's own backbone")
    shape = Preprocessing(**encoder.card.preprocessing.model_dump())
    queries = read_queries(options.data / "bench")
    sources = sorted({source for query in queries for source in query.sources})
    names = {source: place for place, source in enumerate(sources)}
    gallery = np.concatenate(
        [
            describe(encoder, (open_rgb(options.data / "bench" / source) for source in sources)),
            describe(encoder, read_distractors(options.data / "pool")),
        ]
    )
    rows = {
        condition: describe(
            encoder,
            (
                treat(open_rgb(query.path), np.random.default_rng(number))
                for number, query in enumerate(queries)
            ),
        )
        for condition, treat in CONDITIONS.items()
    }
    exclude = (
        frozenset(options.background.read_text().split()) if options.background else frozenset()
    )
    fitting = read_images(
        sorted((options.data / "pool").glob("*.tar")), side=shape.height, exclude=exclude
    )
    heads = {
        "none": Head(net.dimension),
        **heads_of(net, fitting, shape, options.components, options.head_images),
    }
    if len(encoder.parts) > 1:
        heads["as shipped"] = encoder.head
    result = {}
    for name, head in heads.items():
        reference = apply(head, gallery[len(sources) : len(sources) + 1000])
        fusion = Fusion(head.parts, reference if name != "as shipped" else encoder.reference)
        table = apply(head, gallery)
        result[name] = {
            condition: measure(fusion.scores(apply(head, found), table), queries, names)
            for condition, found in rows.items()
        }
        show(name, result[name])
    print(f"{len(gallery)} in the gallery, {time.perf_counter() - started:.0f} s")
    if options.out:
        options.out.write_text(json.dumps({"encoder": encoder.model_id, "heads": result}, indent=1))


def apply(head: Head, descriptors: np.ndarray) -> np.ndarray:
    """Rows of descriptors under a head."""
    with torch.inference_mode():
        rows: np.ndarray = head(torch.from_numpy(descriptors)).numpy()
    return rows


def show(name: str, table: dict[str, dict[str, dict[str, float]]]) -> None:
    """One head as lines of the table."""
    for condition, sets in table.items():
        cells = "  ".join(
            f"{key} {sets[key]['R@1']:.3f} {sets[key]['R@5']:.3f} {sets[key]['mAP']:.3f}"
            for key in SETS
        )
        print(f"{name:16s} {condition:10s} {cells}  mean {sets['mean']['mAP']:.3f}", flush=True)


if __name__ == "__main__":
    main()
