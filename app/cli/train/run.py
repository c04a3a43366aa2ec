"""A run of `attribution train`: what every kind of it is told, and the encoder that it leaves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.cli.console import out, progress
from app.cli.images import ImagesLeftOut, background_progress
from app.cli.wording import GIVES_ONE
from attribution.synthesis.background import StrataSizes, expected
from attribution.training.data.images import ImageSet, read_pictures
from attribution.training.recipe.plans import HeadKind
from attribution.training.run.building import Description, build_encoder
from models.backbones.features import Backbone


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What the command line says, whether a network learns or only a head is made.

    `kept_out` are names of images that become the background, `strata` how many of them also pass
    through the generator and through laundering.
    """

    images: Sequence[Path]
    out_folder: Path
    kept_out: frozenset[str]
    strata: StrataSizes
    head: HeadKind
    head_images: int
    device: str
    name: str | None
    data_note: str
    left_out: ImagesLeftOut = field(default_factory=ImagesLeftOut)

    def leave_encoder(
        self, net: Backbone, fitting: ImageSet | None, *, learnt: int, **others: Any
    ) -> None:
        """Write the encoder to OUT/encoder, with its background, and say how to use it.

        Args:
            net: its network.
            fitting: images to fit the head on; None where `others` has its `parts`.
            learnt: number of images that it has learnt from.
            others: what `build_encoder` takes besides, by name.
        """
        folder, count = self.out_folder / "encoder", len(self.kept_out)
        paths = ", ".join(path.name for path in self.images)
        description = Description(
            name=self.name or self.out_folder.name,
            data=self.data_note or f"{learnt} images of {paths}",
            command=" ".join(["attribution", *sys.argv[1:]]),
        )
        fitted = min(self.head_images, len(fitting or ()))
        with progress() as bar:
            task = bar.add_task("Fitting the head", total=fitted, visible=fitting is not None)
            encoder = build_encoder(
                folder,
                net,
                fitting,
                description=description,
                background=(
                    read_pictures(self.images, self.kept_out, self.left_out) if count else None
                ),
                background_count=count,
                strata=self.strata,
                limit=self.head_images,
                on_images=lambda done: bar.update(task, completed=done),
                on_background=background_progress(bar, expected(count, self.strata)),
                **others,
            )
        card = encoder.card
        parts = ", ".join(f"{part.name} ({part.head}, {part.dimension})" for part in card.parts)
        out.print(f"{folder}: model_id {encoder.model_id}, parts: {parts}")
        out.print(f"Use it: attribution ingest PHOTOS --encoder {folder}")
        if not count:
            out.print(f"It has no background yet, so it decides nothing. {GIVES_ONE}")
