"""How well maps show which part of a composite is from which image, and what its score rests on.

Two kinds of map: `resemblance` of patches, and `evidence`, what the score loses when a part is
blurred. Insertion and deletion (Petsiuk, Das and Saenko, BMVC 2018) blur the parts of an image in
the order of a map, all others or those, and follow the score: what is given is the mean over the
steps, in units of the score, by which it is higher on insertion and lower on deletion than in a
random order.

Composites are made of images that the encoder has not seen; `--only` names those of IMAGES that
may be used, one a line, such as the background images held out of training. Other candidates are
random images. Figures are means with 95 % bootstrap intervals over composites.

    python benchmarks/localisation.py photographs/ --only held-out.txt --out localisation.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np
from composites import KINDS, Composite, Labels, make_composites
from numpy.typing import NDArray
from PIL import Image

from attribution.evaluation.benchmark.cases import Case, Truth
from attribution.evaluation.statistics.bootstrap import Interval, mean_intervals
from attribution.explanation.explanation import assigned
from attribution.explanation.matching import Map, comparable, match
from attribution.explanation.occlusion import CELLS, blurred, evidence, occluded
from attribution.explanation.previews import views_of_query
from attribution.retrieval.fusion import Fusion, Rows, fusion_of
from attribution.training.data.images import member_names, read_pictures
from models import load_encoder
from models.encoder import Encoder

Mask = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)
MAPS = ("resemblance", "evidence")
OF_A_MAP = ("energy_inside", "pointing", "insertion", "deletion")
FIGURES = (
    "region_iou",
    "region_iou_of_all",
    *(f"{kind}_{figure}" for kind in MAPS for figure in OF_A_MAP),
    "true_area",
)
STEPS = 10


Localised = Mapping[str, float]
"""Figures of one composite, `FIGURES`.

`region_iou` is the mean over the true regions, where its sources are known to be the sources;
`region_iou_of_all` where every candidate may claim patches. Of each kind of map, means over its
sources: `energy_inside`, which of a flat map is `true_area`, the mean share of the image that a
source has; `pointing`, whether the map is highest inside the region; `insertion` and `deletion`.
"""


def scaled(values: NDArray[T], shape: tuple[int, ...]) -> NDArray[T]:
    """A map of patches on a grid of pixels: each pixel has the value of the patch it lies in."""
    rows, columns = (np.arange(pixels) * patches // pixels
                     for pixels, patches in zip(shape, values.shape, strict=True))  # fmt: skip
    pixels: NDArray[T] = values[rows[:, None], columns]
    return pixels


def region_iou(found: NDArray[np.integer], truth: Labels) -> float:
    r"""Intersection over union, averaged over the labels of the truth.

    .. math:: \frac{1}{|L|} \sum_{l \in L} |F_l \cap T_l| / |F_l \cup T_l|

    Args:
        found: `(h, w)` labels of patches.
        truth: `(H, W)` labels of pixels.
    """
    pixels = scaled(found, truth.shape)
    shares = []
    for label in np.unique(truth):
        ours, theirs = pixels == label, truth == label
        shares.append((ours & theirs).sum() / (ours | theirs).sum())
    return float(np.mean(shares))


def energy_inside(heat: Map, mask: Mask) -> float:
    """Share of a map's sum that lies inside a region (Wang et al., Score-CAM, CVPRW 2020).

    Args:
        heat: `(h, w)`, not negative. All zero counts as flat.
        mask: `(H, W)`.
    """
    pixels = scaled(heat, mask.shape).astype(float)
    total = pixels.sum()
    return float(pixels[mask].sum() / total) if total > 0 else float(mask.mean())


def points_inside(heat: Map, mask: Mask) -> bool:
    """Pointing game (Zhang et al., ECCV 2016): the centre of the highest patch is inside.

    Of equal patches the first counts.
    """
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    y = int((row + 0.5) / heat.shape[0] * mask.shape[0])
    x = int((column + 0.5) / heat.shape[1] * mask.shape[1])
    return bool(mask[y, x])


def orders_followed(
    encoder: Encoder, fusion: Fusion, image: Image.Image, source: Rows, maps: Sequence[Map]
) -> list[tuple[float, float]]:
    """Insertion and deletion of each map, beside a random order.

    Args:
        encoder: of the scores.
        fusion: its rule.
        image: the query.
        source: `(1, dimension)`.
        maps: `(CELLS, CELLS)` each.
    """
    orders = [np.argsort(-each.ravel(), kind="stable") for each in maps]
    orders.append(np.random.default_rng(0).permutation(CELLS**2))
    counts = [round(CELLS**2 * step / STEPS) for step in range(STEPS + 1)]
    parts = [some for order in orders for n in counts for some in (order[n:], order[:n])]
    rows = encoder.encode(blurred(image, (some.tolist() for some in parts)), domain="query")
    scores = fusion.scores(rows, source).reshape(len(orders), STEPS + 1, 2)
    *followed, chance = scores.mean(axis=1)
    return [(float(each[0] - chance[0]), float(chance[1] - each[1])) for each in followed]


def localise(encoder: Encoder, fusion: Fusion, composite: Composite) -> Localised:
    """Explain a composite by its candidates, as the service explains an answer."""
    image, held = composite.image.convert("RGB"), composite.attributed
    views = encoder.patches(views_of_query(image))
    vectors = comparable(
        np.concatenate([views, encoder.patches(composite.candidates)]), encoder.patch_blocks
    )
    alike = [match(vectors[:2], source).query for source in vectors[2:]]
    sources = encoder.encode(composite.candidates[:held])
    rows = encoder.encode(occluded(image), domain="query")
    borne = evidence(fusion.scores(rows, sources))
    coarse = [each.reshape(CELLS, 2, CELLS, 2).mean(axis=(1, 3)) for each in alike[:held]]
    followed = [
        orders_followed(encoder, fusion, image, sources[number : number + 1], pair)
        for number, pair in enumerate(zip(coarse, borne, strict=True))
    ]
    masks = [composite.labels == label for label in range(1, held + 1)]
    shape = alike[0].shape
    found = {
        "region_iou": region_iou(assigned(alike[:held], shape), composite.labels),
        "region_iou_of_all": region_iou(assigned(alike, shape), composite.labels),
        "true_area": float(np.mean([mask.mean() for mask in masks])),
    }
    for number, (kind, maps) in enumerate(zip(MAPS, (alike[:held], borne), strict=True)):
        insertion, deletion = np.mean([each[number] for each in followed], axis=0).tolist()
        found[f"{kind}_energy_inside"] = _mean(energy_inside, maps, masks)
        found[f"{kind}_pointing"] = _mean(points_inside, maps, masks)
        found[f"{kind}_insertion"] = insertion
        found[f"{kind}_deletion"] = deletion
    return found


def intervals(
    composites: Sequence[Composite], found: Sequence[Localised], *, level: float = 0.95
) -> dict[str, Mapping[str, Interval]]:
    """Each figure's mean for each kind of composite, with its bootstrap interval."""
    cases = [
        Case(Path(each.name), tuple(Truth(name) for name in each.sources), each.kind)
        for each in composites
    ]
    return {
        figure: mean_intervals(np.array([each[figure] for each in found]), cases, level=level).sets
        for figure in FIGURES
    }


def _mean(
    figure: Callable[[Map, Mask], float], maps: Sequence[Map], masks: Sequence[Mask]
) -> float:
    return float(np.mean([figure(heat, mask) for heat, mask in zip(maps, masks, strict=True)]))


def main() -> None:
    """Make the composites, explain each, print means and write them."""
    arguments = _arguments()
    names = member_names(arguments.images)
    if arguments.only is not None:
        names &= frozenset(arguments.only.read_text().splitlines())
    needed = 2 * arguments.count * len(KINDS) + arguments.candidates
    chosen = np.random.default_rng(arguments.seed).permutation(sorted(names))[:needed]
    images = list(enumerate(read_pictures(arguments.images, frozenset(chosen.tolist()))))
    composites = make_composites(
        [(str(number), image) for number, image in images],
        arguments.count,
        candidates=arguments.candidates,
        seed=arguments.seed,
    )
    encoder = load_encoder(arguments.encoder)
    fusion = fusion_of(encoder)
    print(f"{'':26}", *(f"{kind:>22}" for kind in KINDS))
    started = time.perf_counter()
    found = [localise(encoder, fusion, each) for each in composites]
    seconds = (time.perf_counter() - started) / len(composites)
    figures = intervals(composites, found)
    for figure in FIGURES:
        cells = (figures[figure][kind] for kind in KINDS)
        print(f"{figure:26}", *(f"{c.value:7.3f} [{c.low:.3f}, {c.high:.3f}]" for c in cells))
    document = {
        "encoder": encoder.model_id,
        "composites_of_each_kind": arguments.count,
        "candidates": arguments.candidates,
        "seconds_each": round(seconds, 3),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "figures": {
            figure: {kind: asdict(interval) for kind, interval in kinds.items()}
            for figure, kinds in figures.items()
        },
    }
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(document, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", type=Path, nargs="+", help="folders or tar files")
    parser.add_argument("--only", type=Path, help="text file of the names that may be used")
    parser.add_argument("--count", type=int, default=100, help="composites of each kind")
    parser.add_argument("--candidates", type=int, default=5)
    parser.add_argument("--encoder", default="bundled")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
