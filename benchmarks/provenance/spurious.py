"""Objects on grounds that nearly always go with their class, and edits that break the habit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from objects import Object
from PIL import Image
from torch import Generator, Tensor

from attribution.synthesis.composites.composite import Composites
from attribution.synthesis.composites.pasting import paste

CORRELATED = 0.95
"""Share of training pictures whose ground is that of their class."""


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """Pictures of an object each.

    Attributes:
        images: `(n, 3, s, s)` in [0, 1].
        mattes: `(n, 1, s, s)`, 1 where the object is.
        labels: `(n,)` class of the object.
        grounds: `(n,)` class that the ground goes with in training.
    """

    images: Tensor
    mattes: Tensor
    labels: Tensor
    grounds: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, rows: Tensor) -> Scenes:
        """Some of the scenes."""
        return Scenes(self.images[rows], self.mattes[rows], self.labels[rows], self.grounds[rows])


def make_scenes(
    objects: Sequence[Object],
    grounds: Sequence[Sequence[NDArray[np.uint8]]],
    side: int,
    rng: np.random.Generator,
    *,
    correlated: float,
) -> Scenes:
    """A scene of every object.

    Args:
        objects: of as many classes as there are kinds of ground, sorted by name.
        grounds: pictures of each kind, `(h, w, 3)`.
        side: of a scene in pixels; an object's picture has a half to nine tenths of it.
        rng: of grounds, places and sizes.
        correlated: probability of the kind of ground that goes with the class; else another one.
    """
    names = sorted({each.label for each in objects})
    images, mattes, labels, kinds = [], [], [], []
    for each in objects:
        label = names.index(each.label)
        others = [kind for kind in range(len(names)) if kind != label]
        kind = label if rng.random() < correlated else int(rng.choice(others))
        ground = grounds[kind][rng.integers(len(grounds[kind]))]
        frame = Image.fromarray(ground).resize((side, side), Image.Resampling.BICUBIC)
        scale = side * rng.uniform(0.5, 0.9) / max(each.matte.shape)
        size = tuple(max(1, round(scale * length)) for length in each.matte.shape[::-1])
        place = tuple(int(rng.integers(side - length + 1)) for length in size)
        cover = Image.fromarray(each.matte).resize(size, Image.Resampling.NEAREST)
        whole = Image.new("1", (side, side))
        whole.paste(cover, place)
        frame.paste(Image.fromarray(each.pixels).resize(size), place, cover)
        images.append(np.asarray(frame))
        mattes.append(np.asarray(whole))
        labels.append(label)
        kinds.append(kind)
    return Scenes(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255,
        torch.from_numpy(np.stack(mattes))[:, None].float(),
        torch.tensor(labels),
        torch.tensor(kinds),
    )


def on_other_grounds(scenes: Scenes, grounds: Tensor, generator: Generator) -> Composites:
    """Each object in front of a ground of any kind: a scene edited everywhere but in its object.

    Args:
        scenes: `n` of them.
        grounds: `(m, 3, s, s)` pictures of all kinds.
        generator: of the grounds.
    """
    count = len(scenes)
    drawn = count + torch.randint(len(grounds), (count,), generator=generator)
    pairs = torch.stack([torch.arange(count), drawn], dim=1)
    mattes = torch.cat([scenes.mattes, grounds.new_zeros(len(grounds), 1, *grounds.shape[2:])])
    return paste(torch.cat([scenes.images, grounds]), pairs, generator, mattes=mattes)
