"""Descriptors of views, of held-out mixtures and of the bench, made once a base and kept.

Used by `infomax.py`; knows no loss and no arm. Pixels of 128 x 128 and views are the same for every
base. Images outside the gallery are the pool's that are neither a distractor nor a copy of one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from attribution.evaluation.benchmark.cases import Benchmark
from attribution.evaluation.benchmark.treatments import CONDITIONS, treated_queries
from attribution.training.data.framing import read_framed
from attribution.training.data.images import members
from attribution.training.data.views import STRONG, make_view
from attribution.training.heads.fitting import describe
from attribution.training.objective.pairing import make_views
from models.backbones.features import Backbone
from models.encoder import Encoder
from models.images.preprocessing import Preprocessing

SIDE = 128
TRAINED_ON, HELD_OUT = 2_048, 512
"""Images of the linear stage, and those that its knobs are chosen on. The latter come last in the
order of names: there `attribution train` holds out as many by itself, so no base has seen them."""
DISTRACTORS, LARGE = 2_000, 100
"""Distractors that compete, drawn at random, and from how many queries on a set keeps every second:
with all of them describing takes four times as long, and has the same components of sources."""
DRAWS = 2  # mixtures of the held-out images: half as many as images a draw
BLOCK = 128
FRAME = Preprocessing(SIDE, SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class BaseRows:
    """Unit rows of one base, which a linear map is learnt on, chosen by and measured with."""

    images: Tensor
    """`(TRAINED_ON + HELD_OUT, d)`: images outside the gallery as they are."""
    pairs: Tensor
    """`(TRAINED_ON / 2, 5, d)`: of two images the mild views, the strong views and a mixture."""
    mixtures: Tensor
    """`(m, d)`: mixtures of held-out images, then the same ones seen as a strong view."""
    sources: Tensor
    """`(m, 2)` rows of `images` that each mixture must find."""
    gallery: Tensor
    """Of the bench, in its order."""
    queries: Mapping[str, Tensor]
    """By condition, in the order of its ranked cases."""

    @property
    def trained_on(self) -> Tensor:
        """`images` without those held out."""
        return self.images[:TRAINED_ON]

    @property
    def dimension(self) -> int:
        """Columns."""
        return self.images.shape[1]


def outside_images(pool: Path, folder: Path) -> Path:
    """A folder with the pool's images that no gallery of the bench holds; made if it is missing."""
    if folder.is_dir():
        return folder
    rows = [json.loads(line) for line in (pool / "index.jsonl").read_text().splitlines()]
    wanted = {row["file"] for row in rows if not row["distractor"] and not row["copy_of_gallery"]}
    unfinished = folder.with_suffix(".unfinished")
    unfinished.mkdir(parents=True, exist_ok=True)
    for shard in sorted(pool.glob("*.tar")):
        for name, data in members(shard):
            if name in wanted:
                (unfinished / name).write_bytes(data)
    unfinished.rename(folder)
    return folder


def smaller(benchmark: Benchmark) -> Benchmark:
    """The bench with fewer distractors and every second query of a large set; sources all stay."""
    drawn = np.random.default_rng(0).permutation(len(benchmark.distractors))[:DISTRACTORS]
    sizes = Counter(case.set for case in benchmark.ranked)
    cases = tuple(
        replace(case, number=number)  # so that it is treated as in the whole
        for number, case in enumerate(benchmark.ranked)
        if number % 2 == 0 or sizes[case.set] < LARGE
    )
    distractors = tuple(benchmark.distractors[place] for place in sorted(drawn))
    return replace(benchmark, cases=cases, distractors=distractors)


def make_pixels(benchmark: Benchmark, outside: Path, folder: Path) -> dict[str, Pixels]:
    """Everything that bases describe, as `(n, 3, 128, 128)`, by name; read from disk as needed."""
    images = kept(folder / "images.npy", lambda: chosen_images(outside))

    def floats(rows: Tensor) -> Tensor:
        return torch.from_numpy(images[rows.numpy()]).float().div_(255)

    made = {
        "images": images,
        "pairs": kept(folder / "pairs.npy", lambda: view_pairs(floats)),
        "mixtures": kept(folder / "mixtures.npy", lambda: held_out_mixtures(floats)),
        "gallery": kept(
            folder / "gallery.npy", lambda: framed(each.load() for each in benchmark.gallery)
        ),
    }
    for condition in CONDITIONS:
        queries = partial(treated_queries, benchmark.ranked, condition)
        made[condition] = kept(folder / f"{condition}.npy", partial(framed_queries, queries))
    return made


def describe_base(encoder: Encoder, pixels: Mapping[str, Pixels], folder: Path) -> BaseRows:
    """What a base says of all pixels, kept in a folder."""

    def rows_of(name: str) -> Tensor:
        make = partial(unit_rows, encoder.backbone, encoder.card.preprocessing, pixels[name])
        return torch.from_numpy(np.array(kept(folder / f"{name}.npy", lambda: make().numpy())))

    pairs = rows_of("pairs")
    return BaseRows(
        images=rows_of("images"),
        pairs=pairs.reshape(-1, 5, pairs.shape[1]),
        mixtures=rows_of("mixtures"),
        sources=mixture_sources().repeat(2, 1),
        gallery=rows_of("gallery"),
        queries={condition: rows_of(condition) for condition in CONDITIONS},
    )


def unit_rows(net: Backbone, shape: Preprocessing, pixels: Pixels) -> Tensor:
    """Of `(..., 3, 128, 128)` pixels; of the project's network the pooled last stage."""
    columns = net.projections["semantics"]
    flat = pixels.reshape(-1, 3, SIDE, SIDE)
    rows = []
    for start in range(0, len(flat), BLOCK):
        batch = torch.from_numpy(np.array(flat[start : start + BLOCK])).float().div_(255)
        rows.append(functional.normalize(describe(net, batch, shape)[:, columns], dim=1))
    return torch.cat(rows)


def chosen_images(outside: Path) -> Pixels:
    """Some drawn at random, then the last in the order of names."""
    found = read_framed([outside], FRAME)
    order = torch.tensor(sorted(range(len(found)), key=lambda row: found.names[row]))
    drawn = torch.randperm(len(found) - HELD_OUT, generator=torch.Generator().manual_seed(0))
    rows = torch.cat([order[drawn[:TRAINED_ON]], order[-HELD_OUT:]])
    return found.pixels[rows].numpy()


def view_pairs(floats: Callable[[Tensor], Tensor]) -> Pixels:
    """The views that a step of `attribution train` draws, of every image once; as `CachedViews`."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for rows in torch.split(torch.arange(TRAINED_ON), BLOCK):
        views = make_views(floats(rows), SIDE, generator, with_mixed=True)
        groups = [*views.mild.chunk(2), *views.strong.chunk(2), views.mixed]
        made.append(levels(torch.stack(groups, dim=1)))
    return np.concatenate(made)


def held_out_mixtures(floats: Callable[[Tensor], Tensor]) -> Pixels:
    """Mixtures as training draws them, then strong views of the same."""
    generator = torch.Generator().manual_seed(1)
    mixed = [
        make_views(floats(rows.T.flatten()), SIDE, generator, with_mixed=True).mixed
        for rows in torch.split(mixture_sources(), HELD_OUT // 2)
    ]
    plain = torch.cat(mixed)
    return levels(torch.cat([plain, make_view(plain, SIDE, STRONG, generator)]))


def mixture_sources() -> Tensor:
    """`(m, 2)` rows of `BaseRows.images` that the mixtures of held-out images are of."""
    generator = torch.Generator().manual_seed(2)
    drawn = [torch.randperm(HELD_OUT, generator=generator).view(2, -1).T for _ in range(DRAWS)]
    return TRAINED_ON + torch.cat(drawn)


def framed(images: Iterator[Image.Image]) -> Pixels:
    """Pictures as an encoder of 128 x 128 pixels sees them."""
    made = []
    while block := list(islice(images, BLOCK)):
        made.append(levels(torch.stack([FRAME(image) for image in block])))
    return np.concatenate(made)


def framed_queries(queries: Callable[[], Iterator[Image.Image]]) -> Pixels:
    """`framed`, of queries that are drawn when they are needed."""
    return framed(queries())


def levels(images: Tensor) -> Pixels:
    """From [0, 1] to bytes."""
    found: Pixels = (images * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return found


def kept(path: Path, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """What a file holds, mapped; made and written if it is missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            np.save(file, make())
        unfinished.rename(path)
        print(f"made {path}", flush=True)
    found: NDArray[Any] = np.load(path, mmap_mode="r")
    return found
