"""`attribution generate`: synthetic images with known sources, from your own pictures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from app.cli import options
from app.cli.console import progress, show, warn_of_each
from app.cli.failures import BadInvocation
from attribution.files import regular_file
from attribution.ingestion import ManifestRow, read_manifest
from attribution.synthesis import generate
from attribution.synthesis.composites.pictures import KINDS, Kind
from models.images.decoding import decode
from models.images.errors import ImageError

SINGLES, PAIRS = 20, 10
"""Made by default where no composites are asked for."""


def generate_command(
    images: Annotated[Path, typer.Argument(help="Folder of images, or a JSON Lines manifest.")],
    out_folder: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")],
    singles: Annotated[
        int | None,
        typer.Option(min=0, help=f"Images made from one source, {SINGLES} without --composite."),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Images with the structure of one, the patches of another, "
            f"{PAIRS} without --composite.",
        ),
    ] = None,
    composite: Annotated[
        list[str] | None,
        typer.Option(
            help="Composites of two images, or edits of one (`recolour`, `inpaint`), with a mask "
            "that says which pixels are whose. Repeatable.",
            metavar="|".join(KINDS),
        ),
    ] = None,
    composites: Annotated[
        int, typer.Option(min=1, help="So many composites of each kind asked for.")
    ] = 20,
    limit: Annotated[int, typer.Option(min=1, help="Read at most so many sources.")] = 200,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Long side in pixels.")] = 192,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same images.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Make synthetic images from the patches of real ones.

    No weights and no network: about two seconds an image on one core. Writes the images to
    OUT/queries, their sources to OUT/sources, and OUT/manifest.jsonl, which says what came from
    what. With --composite each composite has OUT/queries/NUMBER.mask.png beside it: white where
    a pixel is from the source whose role is `inside`, black where it is from the other or edited.
    Exits with 1 when a file was skipped.
    """
    if singles is None:
        singles = 0 if composite else SINGLES
    if pairs is None:
        pairs = 0 if composite else PAIRS
    wanted = dict.fromkeys(_kinds(composite or []), composites)
    count = singles + pairs + sum(wanted.values())
    sources, skipped = _read(images, limit)
    with progress() as bar:
        task = bar.add_task("Generating", total=count)
        manifest = generate(
            sources,
            out_folder,
            singles=singles,
            pairs=pairs,
            seed=seed,
            size=size,
            composites=wanted,
            on_progress=lambda done, _: bar.update(task, completed=done),
        )
    show(
        {"manifest": str(manifest), "images": count},
        f"{count} images of {len(sources)} sources: {manifest}",
        as_json=as_json,
    )
    if skipped:
        warn_of_each([f"skipped {each}" for each in skipped])
        raise typer.Exit(1)


def _kinds(names: Sequence[str]) -> list[Kind]:
    """The kinds of composite of these names.

    Raises:
        BadInvocation: there is none of some name.
    """
    known = {str(kind): kind for kind in KINDS}
    for name in names:
        if name not in known:
            raise BadInvocation(f"--composite {name}: choose among {', '.join(KINDS)}")
    return [known[name] for name in names]


def _read(path: Path, limit: int) -> tuple[list[tuple[str, Image.Image]], list[str]]:
    """Pictures by name, and a line for each that was skipped."""
    skipped: list[str] = []
    sources: list[tuple[str, Image.Image]] = []
    taken: Counter[str] = Counter()
    for row in read_manifest(path):
        if len(sources) == limit:
            break
        if not isinstance(row, ManifestRow):
            line = f", line {row.line}" if row.line else ""
            skipped.append(f"{row.path}{line}: {row.reason}")
            continue
        try:
            image = decode(regular_file(row.path).read_bytes()).image
        except (ImageError, OSError) as error:
            skipped.append(f"{row.path}: {error}")
            continue
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", row.path.stem).strip("-") or "image"
        taken[stem] += 1
        name = stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"
        sources.append((name, image))
    return sources, skipped
