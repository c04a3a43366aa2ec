"""Scenes of one seed for the tables on pictures, and what their networks are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from objects import Object, drawn_objects, textures
from pool import objects_and_grounds, parted
from refusals import Unusable
from spurious import SIZES, Scenes, balanced, habitual, make_scenes
from torch import Tensor, nn
from torch.nn import functional

from attribution.training.losses.provenance import input_gradients
from attribution.training.objective.still import still_batch_norm

Grounds = Sequence[Sequence[NDArray[np.uint8]]]


@dataclass(frozen=True, slots=True)
class Size:
    """Of the data: `train` and `test` are objects of each class, validation is as large as test.

    Attributes:
        side: of a scene in pixels.
        train: objects of each class.
        test: objects of each class.
        correlated: share of training scenes whose ground is that of their class.
        sizes: least and largest of an object's picture, of the side.
    """

    side: int
    train: int
    test: int
    correlated: float
    sizes: tuple[float, float] = SIZES


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Scenes of one seed, no object in two of them, and grounds for edits.

    No ground of training is in the others; validation and test share theirs.
    """

    train: Scenes
    validation: Scenes
    test: Scenes
    grounds: Tensor
    classes: tuple[str, ...]


def scenes_of(pool: Path | None, kept: Path, size: Size, seed: int) -> Data:
    """Scenes of a pool, or, without one, of drawn outlines on bundled textures.

    Args:
        pool: folder of tar files with `index.jsonl`.
        kept: where what was cut out of it is kept.
        size: of the data.
        seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    if pool is None:
        objects = drawn_objects(size.train + 2 * size.test, 64, rng)
        grounds = textures(120, size.side, rng)
    else:
        objects, grounds = objects_and_grounds(pool, kept, classes=4)
    return made(objects, grounds, size, rng)


def made(objects: Sequence[Object], grounds: Grounds, size: Size, rng: np.random.Generator) -> Data:
    """Training scenes by habit, validation and test with every object on every kind of ground.

    Raises:
        Unusable: a class has too few objects, or a kind of ground too few pictures.
    """
    classes = tuple(sorted({each.label for each in objects}))
    if min(map(len, grounds[: len(classes)])) < 2:
        raise Unusable("a kind of ground has fewer than two pictures: give a larger pool, or leave "
                       "--pool out")  # fmt: skip
    parts: list[list[Object]] = [[], [], []]
    for label in classes:
        own = [each for each in objects if each.label == label]
        if len(own) < size.train + 2 * size.test:
            raise Unusable(
                f"{len(own)} objects of {label}, fewer than {size.train} + 2 x {size.test}: "
                "give a larger pool, or leave --pool out for drawn outlines"
            )
        order = [own[place] for place in rng.permutation(len(own))]
        cuts = (0, size.train, size.train + size.test, size.train + 2 * size.test)
        for number in range(len(parts)):
            parts[number] += order[cuts[number] : cuts[number + 1]]
    ours, theirs = parted(grounds[: len(classes)])
    kinds = habitual(parts[0], rng, size.correlated)
    train = make_scenes(parts[0], kinds, ours, size.side, rng, size.sizes)
    validation, test = (
        make_scenes(*balanced(part), theirs, size.side, rng, size.sizes) for part in parts[1:]
    )
    return Data(train, validation, test, _plain(ours, size.side), classes)


def own_logit(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The gradient at the images of each one's own class, `(n, 3, s, s)`."""

    def score(pixels: Tensor) -> tuple[Tensor, ...]:
        return (model(pixels).gather(1, labels[:, None]).squeeze(1),)

    with still_batch_norm(model):
        return input_gradients(score, images)[0]


def off_target(model: nn.Module, scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Of each scene the share of its squared gradient that is off the object, and their sum."""
    shares, sums = [], []
    for rows in torch.arange(len(scenes)).split(128):
        part = scenes.rows(rows)
        squares = own_logit(model, part.images, part.labels).detach().square()
        energy = squares.flatten(1).sum(dim=1)
        off = ((1 - part.mattes) * squares).flatten(1).sum(dim=1)
        shares.append(off / energy.clamp(min=1e-30))
        sums.append(energy)
    return torch.cat(shares), torch.cat(sums)


def _plain(grounds: Grounds, side: int) -> Tensor:
    """`(m, 3, side, side)` in [0, 1], all pictures of all kinds."""
    pictures = [
        functional.interpolate(
            torch.from_numpy(np.array(each)).permute(2, 0, 1)[None].float() / 255,
            size=side,
            mode="bilinear",
            antialias=True,
        )[0]
        for kind in grounds
        for each in kind
    ]
    return torch.stack(pictures)
