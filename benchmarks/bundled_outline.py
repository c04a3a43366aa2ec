"""Fits the outline of the bundled encoder again, and leaves all else of it as it is.

    python benchmarks/bundled_outline.py POOL [--workers 2] [--out runs/outline]

POOL is that of `bundled_encoder.py`. The outline's map is fitted on 12,000 of its training images
by the plan of `plans_for`; the outline's columns of the reference rows and of the background are
made anew, of the same pictures. Written to a folder of its own, with what `bundled+sscd` needs
beside it, to be measured before it takes the place of `models/bundled`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from bundled_encoder import held_out
from bundled_with_sscd import background_rows, reference_rows
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from attribution.training.data.images import read_images
from attribution.training.heads.fitting import columns_of, fit_parts
from attribution.training.recipe.plans import plans_for
from models.backbones.features import Backbone, Features
from models.backbones.gradients import COLUMNS
from models.background import BACKGROUND, read_background, write_background
from models.checkpoints import load_encoder_folder, save_encoder
from models.encoder import Encoder
from models.fourth_part import ROWS
from models.heads import AffineMap, HeadPart
from models.heads.affine import as_queries
from models.loading import BUNDLED, load_encoder
from models.parts import Part, consecutive_parts

OUTLINE = "outline"
HEAD_IMAGES = 12_000


def main() -> None:
    """Fit, exchange the columns, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pool", type=Path)
    parser.add_argument("--workers", type=int, default=0, help="processes that make pictures")
    parser.add_argument("--out", type=Path, default=Path("runs/outline"))
    options = parser.parse_args()
    shards = sorted(options.pool.glob("*.tar"))
    first = load_encoder()
    outline = fitted_outline(first, options.pool, shards)

    def rows_of(pictures: list[Image.Image], views: int = 1) -> NDArray[np.float32]:
        """`(n, views * d)` outlines of the pictures, and of their mirror images."""
        batch = torch.stack([first.preprocess(each) for each in pictures])
        with torch.inference_mode():
            measured = first.backbone.measured(batch, views)  # the last columns of a descriptor
            rows = AffineMap(outline.source.mean, outline.source.weight)(measured)
        joined: NDArray[np.float32] = torch.cat(rows.chunk(views), dim=1).numpy()
        return joined

    bank = first.head.bank.numpy().copy()
    bank[:, columns_of_bank(first)] = reference_rows(first, shards, rows_of)
    maps = [
        outline if name == OUTLINE else HeadPart(name, source)
        for name, source in first.head.source.items()
        if isinstance(source, AffineMap)
    ]
    pairs = {plan.name: " and ".join(plan.pairs) for plan in plans_for("cca", 512)}
    parts = tuple(
        part.model_copy(update={"fitted_on": pairs[OUTLINE]}) if part.name == OUTLINE else part
        for part in first.card.parts
    )
    card = first.card.model_copy(update={"parts": parts, "metrics": {}})
    save_encoder(options.out, card, first.backbone, tuple(maps), reference=bank)
    shutil.copy(BUNDLED / ROWS, options.out / ROWS)
    made = load_encoder_folder(options.out)
    present = read_background(BUNDLED / BACKGROUND)
    if present is None:
        sys.exit("the bundled background is missing")
    own = background_rows(first, shards, options, rows_of)
    exchanged = present.rows.copy()
    part = part_of(made)
    for view, rows in enumerate(np.split(own, made.views, axis=1)):
        start = view * made.dimension
        exchanged[:, start + part.start : start + part.stop] = as_queries([torch.from_numpy(rows)])
    write_background(
        options.out / BACKGROUND, replace(present, model_id=made.model_id, rows=exchanged)
    )
    print(f"{made.model_id} in {options.out}")


class Gradients(Backbone):
    """The block of a network's descriptor that the outline reads; nothing of it is learnt."""

    def __init__(self, network: Backbone) -> None:
        super().__init__()
        self._measured = network.measured
        self.dimension = COLUMNS
        self.blocks_of_descriptor = consecutive_parts([("gradients", COLUMNS)])

    def forward(self, images: Tensor) -> Features:
        """`(n, 3, H, W)` to `(n, 576)` and a map of one place."""
        rows = self._measured(images)
        return Features(rows, rows[:, :, None, None])


def fitted_outline(first: Encoder, pool: Path, shards: list[Path]) -> HeadPart:
    """The part, fitted on images that are not of the background."""
    shape = first.card.preprocessing
    images = read_images(shards, side=shape.height, exclude=frozenset(held_out(pool)))
    [plan] = [plan for plan in plans_for("cca", 512) if plan.name == OUTLINE]
    [part] = fit_parts(Gradients(first.backbone), images, [plan], shape, limit=HEAD_IMAGES)
    columns = columns_of(plan, first.backbone.blocks_of_descriptor)
    return HeadPart(part.name, AffineMap(part.source.mean, part.source.weight, columns))


def part_of(encoder: Encoder) -> Part:
    """The outline's columns of a row."""
    [part] = [part for part in encoder.parts if part.name == OUTLINE]
    return part


def columns_of_bank(encoder: Encoder) -> slice:
    """Its columns of the bank, whose parts have no column for hubs."""
    place = [part.name for part in encoder.parts].index(OUTLINE)
    part = part_of(encoder)
    return slice(part.start - place, part.stop - place - 1)


if __name__ == "__main__":
    main()
