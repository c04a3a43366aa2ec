"""Makes what `bundled+sscd` needs beside the bundled encoder: rows of its fourth part.

    python benchmarks/bundled_with_sscd.py POOL [--workers 2]

POOL is that of `bundled_encoder.py`. The pictures of the bundled reference rows are found in it by
those rows, and the images of the bundled background are made again, held to its thumbnails. Needs
the extra `sscd`; half an hour of one core, nearly all of it for generated images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from bundled_encoder import held_out
from numpy.typing import NDArray
from PIL import Image

from attribution.synthesis.background import StrataSizes, making, planned
from attribution.training.data.images import read_pictures
from models.backbones.joined import Joined
from models.background import BACKGROUND, GENERATED, LAUNDERED, read_background
from models.encoder import Encoder
from models.fourth_part import NETWORK, write_fourth_part
from models.loading import BUNDLED, load_encoder
from models.published import registry

BLOCK = 64
LEAST_COSINE = 0.98
"""Of a part's row and the stored one, whose 8 bits take a little off."""


def main() -> None:
    """Find the reference, make the background, write both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pool", type=Path)
    parser.add_argument("--workers", type=int, default=0, help="processes that make pictures")
    options = parser.parse_args()
    shards = sorted(options.pool.glob("*.tar"))
    first = load_encoder()
    network = joined_network(first)
    rows_of = partial(second_rows, first, network)
    reference = reference_rows(first, shards, rows_of)
    write_fourth_part(BUNDLED, reference, background_rows(first, shards, options, rows_of))


def joined_network(first: Encoder) -> Joined:
    """The first network, with the second beside it."""
    shape = first.card.preprocessing
    second = registry.build(NETWORK)
    return Joined(first.backbone, second, NETWORK, mean=shape.mean, std=shape.std)


def second_rows(
    first: Encoder, network: Joined, pictures: list[Image.Image], views: int = 1
) -> NDArray[np.float32]:
    """`(n, views * 512)` unit rows of the pictures, and of their mirror images."""
    batch = torch.stack([first.preprocess(each) for each in pictures])
    with torch.inference_mode():
        measured = network.measured(batch, views)[:, -network.second.dimension :]
    rows: NDArray[np.float32] = torch.cat(measured.chunk(views), dim=1).numpy()
    return rows


class RowsOf(Protocol):
    """`(n, views * d)` rows of pictures, and of their mirror images."""

    def __call__(self, pictures: list[Image.Image], views: int = 1) -> NDArray[np.float32]:
        """As `second_rows`."""


def reference_rows(first: Encoder, shards: list[Path], rows_of: RowsOf) -> NDArray[np.float32]:
    """Rows of the pictures that an encoder's reference rows are of."""
    bank = first.head.bank.numpy()
    columns = np.concatenate([np.arange(part.start, part.stop - 1) for part in first.parts])
    found = np.full(len(bank), -1.0)
    rows: dict[int, NDArray[np.float32]] = {}  # by place in the bank
    for block in blocks(read_pictures(shards)):
        cosines = first.encode(block)[:, columns] @ bank.T / len(first.parts)
        best = cosines.argmax(axis=0)
        nearer = np.flatnonzero(cosines.max(axis=0) > found)
        if len(nearer):
            own = rows_of(block)
            rows |= {place: own[best[place]] for place in nearer.tolist()}
            found[nearer] = cosines.max(axis=0)[nearer]
        if found.min() >= LEAST_COSINE:
            return np.stack([rows[place] for place in range(len(bank))])
    missing = int((found < LEAST_COSINE).sum())
    sys.exit(f"{missing} pictures of the reference rows are not in this pool")


def background_rows(
    first: Encoder, shards: list[Path], options: argparse.Namespace, rows_of: RowsOf
) -> NDArray[np.float32]:
    """Rows of the images of the bundled background, in its order."""
    present = read_background(BUNDLED / BACKGROUND)
    if present is None:
        sys.exit("the bundled background is missing")
    counts = np.bincount(present.strata, minlength=LAUNDERED + 1)
    sizes = StrataSizes(int(counts[GENERATED]), int(counts[LAUNDERED]))
    names = frozenset(held_out(options.pool))
    items = planned(read_pictures(shards, names), len(names), sizes=sizes)
    rows, strata, thumbnails = [], [], []
    with making(options.workers) as make_all:
        for block in blocks(items):
            rows.append(rows_of(make_all(block), first.views))
            strata += [item.stratum for item in block]
            thumbnails += [item.thumbnail for item in block]
            print(f"{len(strata)} of {len(present)} background rows", flush=True)
    order = np.argsort(strata, kind="stable")
    if not np.array_equal(np.stack(thumbnails)[order], present.thumbnails):
        sys.exit("the pool's images are not those of the bundled background")
    return np.concatenate(rows)[order]


def blocks(items: Iterator[Any]) -> Iterator[list[Any]]:
    """Some at a time."""
    while block := list(islice(items, BLOCK)):
        yield block


if __name__ == "__main__":
    main()
