"""A sheet of pictures: of each class the few real ones, and images of every arm.

python benchmarks/generation/sheet.py runs/generation/arms --seed 0 --out docs/pictures/arms.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from context_arms import ARMS, FULL, QUICK, few_of
from few_shot import made_files
from PIL import Image, ImageDraw
from world import SIDE

EACH, SCALE, MARGIN = 5, 2, 110
"""Images of a class, the factor by which they are enlarged, and room for the names of arms."""


def sheet(rows: dict[str, list[list[Image.Image]]]) -> Image.Image:
    """A line a name, a block a class.

    Args:
        rows: by name, of each class its images.
    """
    cell, gap = SCALE * SIDE, 6
    blocks = len(next(iter(rows.values())))
    width = MARGIN + blocks * (EACH * cell + gap)
    page = Image.new("RGB", (width, len(rows) * (cell + gap)), "white")
    pen = ImageDraw.Draw(page)
    for number, (name, classes) in enumerate(rows.items()):
        top = number * (cell + gap)
        pen.text((4, top + cell // 2 - 6), name, fill="black")
        for block, images in enumerate(classes):
            for place, image in enumerate(images[:EACH]):
                left = MARGIN + block * (EACH * cell + gap) + place * cell
                page.paste(image.resize((cell, cell), Image.Resampling.NEAREST), (left, top))
    return page


def main() -> None:
    """Read what the arms have made, and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of the arms' runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    scale = QUICK if arguments.folder.name.endswith("-quick") else FULL
    few, _ = few_of(arguments.seed, scale)
    real = [few.pictures[row.image] for row in few.bank.described]
    labels = few.labels.tolist()
    kept = range(min(arguments.classes, len(few.classes)))
    rows = {"real": [[real[at] for at in range(len(real)) if labels[at] == k] for k in kept]}
    for arm in ARMS:
        files, own = made_files(arguments.folder / f"seed{arguments.seed}" / arm, few.classes)
        rows[arm] = [
            [Image.open(file) for file, label in zip(files, own.tolist(), strict=True)
             if label == k][:EACH]
            for k in kept
        ]  # fmt: skip
    sheet(rows).save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()
