"""How well heat maps and region maps show which part of a composite is from which image.

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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from composites import KINDS, Composite, Labels, make_composites
from numpy.typing import NDArray

from attribution.evaluation.benchmark.cases import Case, Truth
from attribution.evaluation.statistics.bootstrap import Interval, mean_intervals
from attribution.explanation.explanation import assigned
from attribution.explanation.matching import Map, comparable, match
from attribution.explanation.previews import views_of_query
from attribution.training.data.images import member_names, read_pictures
from models import load_encoder
from models.encoder import Encoder

Mask = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)
FIGURES = ("region_iou", "region_iou_of_all", "energy_inside", "pointing", "true_area")


@dataclass(frozen=True, slots=True)
class Localised:
    """Figures of one composite.

    Attributes:
        region_iou: mean over the true regions, where its sources are known to be the sources.
        region_iou_of_all: the same where every candidate may claim patches.
        energy_inside: mean over its sources; a flat map has `true_area`.
        pointing: share of its sources whose map is highest inside their region.
        true_area: mean share of the image that a source has.
    """

    region_iou: float
    region_iou_of_all: float
    energy_inside: float
    pointing: float
    true_area: float


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


def localise(encoder: Encoder, composite: Composite) -> Localised:
    """Explain a composite by its candidates, as the service explains an answer."""
    views = encoder.patches(views_of_query(composite.image))
    patches = encoder.patches(composite.candidates)
    vectors = comparable(np.concatenate([views, patches]), encoder.patch_blocks)
    maps = [match(vectors[:2], source).query for source in vectors[2:]]
    own = maps[: composite.attributed]
    masks = [composite.labels == label for label in range(1, composite.attributed + 1)]
    shape = maps[0].shape
    return Localised(
        region_iou=region_iou(assigned(own, shape), composite.labels),
        region_iou_of_all=region_iou(assigned(maps, shape), composite.labels),
        energy_inside=_mean(energy_inside, own, masks),
        pointing=_mean(points_inside, own, masks),
        true_area=float(np.mean([mask.mean() for mask in masks])),
    )


def intervals(
    composites: Sequence[Composite], found: Sequence[Localised], *, level: float = 0.95
) -> dict[str, Mapping[str, Interval]]:
    """Each figure's mean for each kind of composite, with its bootstrap interval."""
    cases = [
        Case(Path(each.name), tuple(Truth(name) for name in each.sources), each.kind)
        for each in composites
    ]
    return {
        figure: mean_intervals(
            np.array([getattr(each, figure) for each in found]), cases, level=level
        ).sets
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
    started = time.perf_counter()
    found = [localise(encoder, each) for each in composites]
    seconds = (time.perf_counter() - started) / len(composites)
    figures = intervals(composites, found)
    print(f"{'':10}", *(f"{figure:>24}" for figure in FIGURES))
    for kind in KINDS:
        cells = (figures[figure][kind] for figure in FIGURES)
        print(f"{kind:10}", *(f"{c.value:9.3f} [{c.low:.3f}, {c.high:.3f}]" for c in cells))
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
