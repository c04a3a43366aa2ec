"""Objects on grounds that nearly always go with their class, and edits that break the habit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from objects import Object
from PIL import Image
from scipy.ndimage import distance_transform_edt
from torch import Generator, Tensor

from attribution.synthesis.composites.composite import Composites
from attribution.synthesis.composites.pasting import paste

CORRELATED = 0.95
"""Share of training pictures whose ground is that of their class."""
SIZES = (0.8, 1.0)
"""Of an object's picture, of the side of a scene: it is the subject."""


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
    kinds: Sequence[int],
    grounds: Sequence[Sequence[NDArray[np.uint8]]],
    side: int,
    rng: np.random.Generator,
    sizes: tuple[float, float] = SIZES,
) -> Scenes:
    """A scene of every object.

    Args:
        objects: of as many classes as there are kinds of ground, which go together in the order of
            the classes' names.
        kinds: of ground, one an object.
        grounds: pictures of each kind, `(h, w, 3)`.
        side: of a scene in pixels.
        rng: of grounds, places and sizes.
        sizes: least and largest of an object's picture, of the side of a scene.
    """
    names = sorted({each.label for each in objects})
    images, mattes = [], []
    for each, kind in zip(objects, kinds, strict=True):
        ground = grounds[kind][rng.integers(len(grounds[kind]))]
        frame = Image.fromarray(ground).resize((side, side), Image.Resampling.BICUBIC)
        scale = side * rng.uniform(*sizes) / max(each.matte.shape)
        size = tuple(max(1, round(scale * length)) for length in each.matte.shape[::-1])
        place = tuple(int(rng.integers(side - length + 1)) for length in size)
        cover = Image.fromarray(each.matte).resize(size, Image.Resampling.NEAREST)
        whole = Image.new("1", (side, side))
        whole.paste(cover, place)
        frame.paste(Image.fromarray(each.pixels).resize(size), place, cover)
        images.append(np.asarray(frame))
        mattes.append(np.asarray(whole))
    return Scenes(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255,
        torch.from_numpy(np.stack(mattes))[:, None].float(),
        torch.tensor([names.index(each.label) for each in objects]),
        torch.tensor(kinds),
    )


def habitual(objects: Sequence[Object], rng: np.random.Generator, share: float) -> list[int]:
    """Of each object the kind of ground that goes with its class, or, not so often, another one.

    Args:
        objects: of at least two classes.
        rng: of the exceptions.
        share: of the objects that are where their class is expected.
    """
    names = sorted({each.label for each in objects})
    kinds = []
    for each in objects:
        own = names.index(each.label)
        others = [kind for kind in range(len(names)) if kind != own]
        kinds.append(own if rng.random() < share else int(rng.choice(others)))
    return kinds


def balanced(objects: Sequence[Object]) -> tuple[list[Object], list[int]]:
    """Every object as often as there are classes, once on each kind of ground."""
    kinds = range(len({each.label for each in objects}))
    return [each for each in objects for _ in kinds], [kind for _ in objects for kind in kinds]


def resized(matte: Tensor, change: float) -> Tensor:
    """A mask dilated or eroded until its area has changed by a share.

    The places nearest to its border, by Euclidean distance, are added or taken away.

    Args:
        matte: `(1, h, w)` of zeros and ones.
        change: share of the area, such as -.3.
    """
    inside = matte[0].numpy() > 0
    area = min(inside.size, round(float(inside.sum()) * (1 + change)))
    distance = distance_transform_edt(~inside) - distance_transform_edt(inside)
    found = np.zeros(inside.size, np.float32)
    found[np.argsort(distance, axis=None, kind="stable")[:area]] = 1
    return torch.from_numpy(found.reshape(matte.shape))


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
