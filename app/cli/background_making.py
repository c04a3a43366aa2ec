"""Makes the background that an operator adds, with progress, and keeps it in the data folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.backgrounds import FEWEST_APART, load_whole_background, save_extension
from app.cli.console import out, progress, warn
from app.cli.failures import BadInvocation
from app.cli.training_progress import background_progress
from app.opening import Vision
from app.settings import Settings
from attribution.synthesis.background import StrataSizes, expected, make_background
from attribution.training.images import member_names, read_pictures
from models.background import PHOTO, Background

FEWEST = 20
"""Images below which a folder is taken for a mistake."""


def add_background(settings: Settings, vision: Vision, folder: Path) -> Vision:
    """Embed the images of a folder or tar file in all strata; what was added before is replaced.

    Each stratum takes as many of them as there are, up to the sizes that ship with an encoder.

    Raises:
        BadInvocation: nothing there, or too few different images that can be read.
    """
    if not folder.exists():
        raise BadInvocation(f"--background {folder}: there is no such folder or tar file")
    names = frozenset(member_names([folder]))
    _require(folder, len(names), "images")
    sizes = StrataSizes()
    with progress() as bar:
        added = make_background(
            vision.encoder,
            read_pictures([folder], names),
            len(names),
            sizes=sizes,
            on_picture=background_progress(bar, expected(len(names), sizes)),
        )
    pictures = int((added.strata == PHOTO).sum())
    _require(folder, _different(added), "different images that can be read")
    path = save_extension(settings.data, added)
    out.print(f"{len(added)} background rows of {pictures} images added: {path}", soft_wrap=True)
    out.print("A running service takes them up by itself, once it has compared them.")
    if pictures < FEWEST_APART:
        warn(
            f"Fewer than {FEWEST_APART} images are judged together with those of the encoder: "
            "give more, and false attributions are bounded for queries like yours as such"
        )
    return Vision(vision.encoder, load_whole_background(settings, vision.encoder))


def _require(folder: Path, number: int, what: str) -> None:
    if number < FEWEST:
        raise BadInvocation(
            f"--background {folder}: {number} {what} are too few; give {FEWEST} or more, "
            "better a thousand, that resemble what you will be asked about and have no source here"
        )


def _different(added: Background) -> int:
    """Pictures that differ, by their thumbnails: a picture given a hundred times is one."""
    photos = added.thumbnails[added.strata == PHOTO]
    return len(np.unique(photos.reshape(len(photos), -1), axis=0))
