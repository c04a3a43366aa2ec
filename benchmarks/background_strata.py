"""Gives the bundled background its strata: adds generated and laundered rows to its photos.

    python benchmarks/background_strata.py POOL [--out models/bundled/background.safetensors]

POOL is that of `bundled_encoder.py`, whose held-out names are the photos. Their rows are taken as
they are from the present file, bit by bit; only the rows of the other strata are embedded. The
file is written again every 200 rows, so that a run can be looked at before its end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from bundled_encoder import held_out
from PIL import Image
from safetensors.torch import load_file, save

from attribution.synthesis.background import (
    GENERATED_IMAGES,
    LAUNDERED_IMAGES,
    Planned,
    StrataSizes,
    making,
    planned,
)
from attribution.training.data.images import read_pictures
from models.background import BACKGROUND, PHOTO, STRATA, read_background
from models.checkpoints import quantise_rows
from models.encoder import Encoder
from models.loading import BUNDLED, load_encoder

SAVED_EVERY = 200
BLOCK = 40


def main() -> None:
    """Make the rows, block by block."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pool", type=Path)
    parser.add_argument("--out", type=Path, default=BUNDLED / BACKGROUND)
    parser.add_argument("--generated", type=int, default=GENERATED_IMAGES)
    parser.add_argument("--laundered", type=int, default=LAUNDERED_IMAGES)
    parser.add_argument("--workers", type=int, default=0, help="processes that make pictures")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    present = read_background(BUNDLED / BACKGROUND)
    encoder = load_encoder()
    if present is None or present.model_id != encoder.model_id:
        sys.exit("the bundled background was made by another encoder: train both again first")
    stored = load_file(BUNDLED / BACKGROUND)
    photos = {name: rows[present.strata == PHOTO] for name, rows in stored.items()}
    photos["strata"] = torch.zeros(len(photos["values"]), dtype=torch.uint8)

    names = frozenset(held_out(options.pool))
    pictures = read_pictures(sorted(options.pool.glob("*.tar")), names)
    sizes = StrataSizes(options.generated, options.laundered)
    waiting = checked(planned(pictures, len(names), sizes=sizes, seed=options.seed), photos)
    made: list[dict[str, torch.Tensor]] = []
    with making(options.workers) as make_all:
        while block := list(islice(waiting, BLOCK)):
            made.append(embedded(encoder, block, make_all(block)))
            count = sum(len(each["values"]) for each in made)
            print(f"{count} of {sizes.generated + sizes.laundered} rows", flush=True)
            if count % SAVED_EVERY == 0:
                write(options.out, encoder.model_id, photos, made)
    write(options.out, encoder.model_id, photos, made)


def embedded(
    encoder: Encoder, block: list[Planned], pictures: list[Image.Image]
) -> dict[str, torch.Tensor]:
    """The tensors of a background file, for some of its rows."""
    values, scale = quantise_rows(encoder.encode(pictures, domain="query"))
    return {
        "values": values,
        "scale": scale,
        "thumbnails": torch.from_numpy(np.stack([item.thumbnail for item in block])),
        "strata": torch.tensor([item.stratum for item in block], dtype=torch.uint8),
    }


def checked(items: Iterator[Planned], photos: dict[str, torch.Tensor]) -> Iterator[Planned]:
    """What is made of the photos; stops where the pool's photos are not those of the file."""
    place = 0
    for item in items:
        if item.stratum != PHOTO:
            yield item
            continue
        if not np.array_equal(item.thumbnail, photos["thumbnails"][place].numpy()):
            sys.exit(f"photo {place} of the pool is not that of the bundled background")
        place += 1


def write(
    path: Path,
    model_id: str,
    photos: dict[str, torch.Tensor],
    made: list[dict[str, torch.Tensor]],
) -> None:
    """Photos as they were, then the other strata in order."""
    joined = {name: torch.cat([each[name] for each in made]) for name in made[0]}
    order = torch.argsort(joined["strata"], stable=True)
    tensors = {name: torch.cat([photos[name], joined[name][order]]) for name in joined}
    new = path.with_suffix(".new")
    new.write_bytes(save(tensors, metadata={"model_id": model_id, "strata": ",".join(STRATA)}))
    new.replace(path)


if __name__ == "__main__":
    main()
