"""Makes the background that an operator adds, with progress, and keeps it in the data folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.cli.console import out, progress, warn
from app.cli.failures import BadInvocation
from app.cli.images import background_progress
from app.settings import Settings
from attribution.calibration import SMALLEST_STRATUM, StratumNull
from attribution.opening.background import FEWEST_APART, save_extension
from attribution.opening.load import Vision
from attribution.synthesis.background import StrataSizes, expected, make_background
from attribution.training.data.images import OnLeftOut, member_names, read_pictures
from models.background import PHOTO, Background

FEWEST = 20
"""Images below which a folder is taken for a mistake."""


def make_addition(vision: Vision, folder: Path, on_left_out: OnLeftOut) -> Background:
    """Embed the images of a folder or tar file in all strata, each picture once.

    Each stratum takes as many of them as there are, up to the sizes that ship with an encoder.
    What cannot be read is left out, and told to `on_left_out`.

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
            read_pictures([folder], names, on_left_out),
            len(names),
            sizes=sizes,
            on_picture=background_progress(bar, expected(len(names), sizes)),
        )
    added = _each_once(added)
    _require(folder, _pictures(added), "different images that can be read")
    return added


def keep_addition(
    settings: Settings, added: Background, strata: Sequence[StratumNull], folder: Path
) -> None:
    """Put it in the place of what was added before, where it leaves something to compare with.

    Args:
        settings: of the data folder.
        added: of `make_addition`.
        strata: of the null that it has become part of.
        folder: where its images are.

    Raises:
        BadInvocation: so many of the images are held as sources that hardly any would be left.
    """
    for stratum in strata:
        left = len(stratum.statistics)
        if stratum.name.startswith("added-") and left < SMALLEST_STRATUM:
            raise BadInvocation(
                f"--background {folder}: {stratum.copies} of {stratum.copies + left} images are "
                "held here as sources, and too few are left; give images that have no source here"
            )
    path, pictures = save_extension(settings.data, added), _pictures(added)
    out.print(f"{len(added)} background rows of {pictures} images added: {path}", soft_wrap=True)
    out.print("A running service takes them up by itself, once it has compared them.")
    if pictures < FEWEST_APART:
        warn(
            f"Fewer than {FEWEST_APART} images are judged together with those of the encoder: "
            "give more, and false attributions are bounded for queries like yours as such"
        )


def _require(folder: Path, number: int, what: str) -> None:
    if number < FEWEST:
        raise BadInvocation(
            f"--background {folder}: {number} {what} are too few; give {FEWEST} or more, "
            "better a thousand, that resemble what you will be asked about and have no source here"
        )


def _pictures(added: Background) -> int:
    return int((added.strata == PHOTO).sum())


def _each_once(added: Background) -> Background:
    """Without rows whose thumbnail came before in their stratum: repeats are no evidence."""
    marks = np.column_stack([added.strata, added.thumbnails.reshape(len(added), -1)])
    kept = np.sort(np.unique(marks, axis=0, return_index=True)[1])
    return Background(added.model_id, added.rows[kept], added.thumbnails[kept], added.strata[kept])
