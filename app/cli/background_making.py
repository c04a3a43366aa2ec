"""Makes the background that an operator adds, with progress, and keeps it in the data folder."""

from __future__ import annotations

from pathlib import Path

from app.backgrounds import extended, save_extension
from app.cli.console import out, progress
from app.cli.failures import BadInvocation
from app.cli.training_progress import background_progress
from app.opening import Vision
from app.settings import Settings
from attribution.synthesis.background import StrataSizes, expected, make_background
from attribution.training.images import member_names, read_pictures
from models.loading import load_encoder_background

FEWEST = 20
"""Images below which a folder is taken for a mistake."""


def add_background(settings: Settings, vision: Vision, folder: Path) -> Vision:
    """Embed the images of a folder or tar file in all strata; what was added before is replaced.

    Each stratum takes as many of them as there are, up to the sizes that ship with an encoder.

    Raises:
        BadInvocation: nothing there, or too few images.
    """
    if not folder.exists():
        raise BadInvocation(f"--background {folder}: there is no such folder or tar file")
    names = frozenset(member_names([folder]))
    if len(names) < FEWEST:
        raise BadInvocation(
            f"--background {folder}: {len(names)} images are too few; give {FEWEST} or more, "
            "better a thousand, that resemble what you will be asked about and have no source here"
        )
    sizes = StrataSizes()
    with progress() as bar:
        added = make_background(
            vision.encoder,
            read_pictures([folder], names),
            len(names),
            sizes=sizes,
            on_picture=background_progress(bar, expected(len(names), sizes)),
        )
    path = save_extension(settings.data, added)
    out.print(f"{len(added)} background rows of {len(names)} images added: {path}", soft_wrap=True)
    out.print("A running service takes them up when it is started again.")
    shipped = load_encoder_background(settings.encoder, vision.encoder)
    return Vision(vision.encoder, extended(shipped, added))
