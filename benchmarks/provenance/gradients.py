"""Draws where classifiers look: the gradient of a picture's class, by arm, beside its object.

Trains the arms of `classification.py --quick` and draws the first test pictures, one of each class
on each ground; none is chosen for how it looks.

    python benchmarks/provenance/gradients.py docs/pictures/gradients.png
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from arms import trials
from classification import QUICK, train
from pictures import off_target, own_logit, scenes_of
from PIL import Image, ImageDraw
from refusals import told
from spurious import Scenes
from torch import Tensor, nn

_CELL = 72  # pixels of a picture on the sheet
_GAP = 4
_HEAD = 18


def heat(model: nn.Module, scenes: Scenes) -> Tensor:
    """`(n, s, s)` lengths of the gradient over colours; the largest of each picture is 1."""
    squares = own_logit(model, scenes.images, scenes.labels).detach().square().sum(dim=1)
    lengths = squares.sqrt()
    return lengths / lengths.amax(dim=(1, 2), keepdim=True).clamp(min=1e-30)


def sheet(columns: dict[str, Tensor]) -> Image.Image:
    """A picture of columns of pictures, `(n, s, s)` or `(n, 3, s, s)` in [0, 1], named above."""
    rows = len(next(iter(columns.values())))
    step = _CELL + _GAP
    found = Image.new("RGB", (len(columns) * step - _GAP, _HEAD + rows * step - _GAP), "white")
    draw = ImageDraw.Draw(found)
    for column, (name, pictures) in enumerate(columns.items()):
        draw.text((column * step, 2), name, fill="black")
        for row, picture in enumerate(pictures):
            colours = picture.expand(3, -1, -1).permute(1, 2, 0)
            cell = Image.fromarray((255 * colours).round().to(torch.uint8).numpy())
            cell = cell.resize((_CELL, _CELL), Image.Resampling.NEAREST)
            found.paste(cell, (column * step, _HEAD + row * step))
    return found


def main() -> None:
    """Train, draw, and say what share of all test gradients is off the objects."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="picture that is written")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = scenes_of(None, Path(), QUICK.size, 0)
    starts = torch.arange(0, len(data.test), len(data.test) // len(data.classes))
    kinds = torch.arange(len(data.test.grounds.unique()))  # an object's scenes follow each other
    shown = data.test.rows((starts[:, None] + kinds).flatten())
    columns = {"picture": shown.images, "object": shown.mattes}
    for trial in trials(QUICK.seeds, QUICK.weights, arms=QUICK.arms):
        model, _ = train(trial, data, QUICK)
        share = float(off_target(model, data.test)[0].mean())
        print(f"{trial.arm:10} gradient off the object {share:.3f}", flush=True)
        columns[trial.arm if trial.arm == "synthesis" else f"{trial.arm} mask"] = heat(model, shown)
    sheet(columns).quantize(128).save(arguments.out, optimize=True)


if __name__ == "__main__":
    told(main)
