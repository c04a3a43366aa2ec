"""What it costs to embed a source from its preview instead of its original (docs/operations.md).

    python benchmarks/preview_embeddings.py [FOLDER] [--encoder NAME ...] --out preview.json

Without FOLDER the photographs of the demo are used. Each is embedded as a source twice, from the
original and from the preview that the catalog keeps (JPEG, at most 512 pixels). Queries are
the same photographs, blurred, shrunk and recompressed. Both galleries rank every query; they are
compared by the first place, by Kendall's tau over all ranks, and by how often the true source is
first.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy.stats import kendalltau

from attribution.retrieval.fusion import fusion_of
from attribution.synthesis import bundled_photographs
from models import load_encoder
from models.encoder import Encoder
from models.images.previews import make_preview

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def photographs(folder: Path | None, limit: int) -> list[Image.Image]:
    """RGB images, of a folder or those that the demo uses."""
    if folder is None:
        return [photo.image for photo in bundled_photographs()]
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return [Image.open(path).convert("RGB") for path in paths[:limit]]


def laundered(image: Image.Image) -> Image.Image:
    """Blurred, shrunk to 320 pixels and recompressed."""
    small = image.filter(ImageFilter.GaussianBlur(1.5))
    small.thumbnail((320, 320))
    written = io.BytesIO()
    small.save(written, "JPEG", quality=60)
    return Image.open(written).convert("RGB")


def measure(encoder: Encoder, images: Sequence[Image.Image]) -> dict[str, object]:
    """Cosines of the two rows of each image, and how far the two rankings agree."""
    previews = [Image.open(io.BytesIO(make_preview(image))) for image in images]
    original, preview = encoder.encode(images), encoder.encode(previews)
    cosines = {
        part.name: _summary(
            (_unit(original[:, part.start : part.stop]) * _unit(preview[:, part.start : part.stop]))
            .sum(axis=1)
        )
        for part in encoder.parts
    }  # fmt: skip
    queries = encoder.encode([laundered(image) for image in images], domain="query")
    prepared = fusion_of(encoder).prepare(queries)
    first, second = prepared.scores(original), prepared.scores(preview)
    truth = np.arange(len(images))
    taus = [kendalltau(a, b).statistic for a, b in zip(first, second, strict=True)]
    return {
        "model_id": encoder.model_id,
        "images": len(images),
        "long_side": _summary(np.array([max(image.size) for image in images], np.float64)),
        "cosine": cosines,
        "same_first": float((first.argmax(1) == second.argmax(1)).mean()),
        "true_first": {
            "original": float((first.argmax(1) == truth).mean()),
            "preview": float((second.argmax(1) == truth).mean()),
        },
        "kendall_tau": _summary(np.array(taus)),
        "score_difference": _summary(np.abs(first - second).ravel()),
    }


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _summary(values: np.ndarray) -> dict[str, float]:
    return {
        "min": round(float(values.min()), 5),
        "median": round(float(np.median(values)), 5),
        "mean": round(float(values.mean()), 5),
        "max": round(float(values.max()), 5),
    }


def main() -> None:
    """Measure every encoder named and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--encoder", action="append")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    images = photographs(given.folder, given.limit)
    results = [measure(load_encoder(name), images) for name in given.encoder or ["bundled"]]
    document = {"machine": platform.processor() or platform.machine(), "results": results}
    given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
