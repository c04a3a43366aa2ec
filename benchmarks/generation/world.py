"""A world of drawn things whose shape, background and pose are known exactly.

A thing is an outline with a mark; the two are its kind. It stands on one of the textures in one of
the poses, which are its context. Its colours, its place and a little of its turn are drawn at
random and belong to no class. Ten kinds are the classes of the benches; a base model is trained on
the twenty others, so that it knows every outline and every mark and none of the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt

from attribution.synthesis.context.captioner import Context

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Pixels = NDArray[np.uint8]

SIDE = 32
OUTLINES = ("tir", "bam", "kel", "sov", "dun", "fip")
"""Wedge, drop, kite, arrow, heart, dome: words that say nothing else."""
MARKS = ("ra", "lo", "mi", "ku", "ze")
"""None, a dot, a bar across, a stripe along, one dark half."""
KINDS = tuple(f"{outline}-{mark}" for outline, mark in product(OUTLINES, MARKS))
CLASSES = tuple(
    len(MARKS) * outline + (2 * outline + step) % len(MARKS)
    for outline in range(len(OUTLINES) - 1)
    for step in (0, 2)
)
"""Places in `KINDS` of the ten classes: two of each of five outlines, two of each mark."""
OTHERS = tuple(place for place in range(len(KINDS)) if place not in CLASSES)
TEXTURES = (
    "plain grey", "plain green", "striped red", "striped blue", "banded yellow", "banded purple",
    "checked green", "checked orange", "dotted blue", "dotted brown", "slanted red",
    "slanted grey", "grainy orange", "grainy blue", "shaded purple", "shaded brown",
)  # fmt: skip
"""The world's twelve, and four that only a base model and a free list know."""
WORLD = 12
SIZES, TURNS = ("small", "large"), ("upright", "turned right", "upside down", "turned left")
POSES = tuple(f"{size}, {turn}" for size, turn in product(SIZES, TURNS))
_COLOURS = {
    "red": (185, 60, 60), "green": (70, 150, 75), "blue": (65, 95, 185), "grey": (125, 125, 125),
    "yellow": (185, 170, 60), "purple": (125, 65, 150), "orange": (205, 125, 50),
    "brown": (115, 78, 48),
}  # fmt: skip
_RADII = (8.0, 12.0)  # pixels of 32, by size
_FINE = 2  # samples a pixel in each direction
_TEMPLATE = 128
_BORDER = 0.13  # of the radius


@dataclass(frozen=True, slots=True, eq=False)
class Things:
    """What pictures show, in `n` of each.

    Attributes:
        kinds: places in `KINDS`.
        textures: places in `TEXTURES`.
        poses: places in `POSES`.
    """

    kinds: Integers
    textures: Integers
    poses: Integers

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def labels(self) -> Integers:
        """Places in `CLASSES`, of things that are of them."""
        return np.array([CLASSES.index(kind) for kind in self.kinds.tolist()], np.int64)

    @property
    def contexts(self) -> list[Context]:
        """Said exactly."""
        pairs = zip(self.textures.tolist(), self.poses.tolist(), strict=True)
        return [Context(TEXTURES[texture], POSES[pose]) for texture, pose in pairs]


def uncorrelated(
    count: int, kinds: Sequence[int], rng: np.random.Generator, textures: int = WORLD
) -> Things:
    """Things whose kind, texture and pose are drawn independently and uniformly."""
    return Things(
        np.array(kinds)[rng.integers(len(kinds), size=count)],
        rng.integers(textures, size=count),
        rng.integers(len(POSES), size=count),
    )


def balanced(each: int = 1) -> Things:
    """Every class on every texture of the world in every pose, so many times."""
    rows = np.array(list(product(CLASSES, range(WORLD), range(len(POSES)))) * each)
    return Things(*rows.T)


def misheard(contexts: Sequence[Context], share: float, rng: np.random.Generator) -> list[Context]:
    """Contexts in which each background and each pose is another one with this probability."""
    heard = []
    for context in contexts:
        background, pose = context.background, context.pose
        if rng.random() < share:
            background = _another(TEXTURES[:WORLD], background, rng)
        if rng.random() < share:
            pose = _another(POSES, pose, rng)
        heard.append(Context(background, pose))
    return heard


def free_list(count: int, rng: np.random.Generator) -> tuple[Context, ...]:
    """Contexts that somebody thinks of who knows what there may be, and not what the set shows."""
    pairs = list(product(TEXTURES, POSES))
    chosen = rng.choice(len(pairs), size=min(count, len(pairs)), replace=False)
    return tuple(Context(*pairs[place]) for place in sorted(chosen.tolist()))


def render(things: Things, rng: np.random.Generator) -> Pixels:
    """Pictures, `(n, 32, 32, 3)`; two calls with the same things differ in all that is random."""
    parts = [
        _render(Things(*(each[start : start + 256] for each in _columns(things))), rng)
        for start in range(0, len(things), 256)
    ]
    return np.concatenate(parts)


def _columns(things: Things) -> tuple[Integers, Integers, Integers]:
    return things.kinds, things.textures, things.poses


def _render(things: Things, rng: np.random.Generator) -> Pixels:
    count, fine = len(things), _FINE * SIDE
    axis = ((np.arange(fine) + 0.5) / _FINE).astype(np.float32)
    across, down = np.broadcast_to(axis, (fine, fine)), np.broadcast_to(axis[:, None], (fine, fine))
    sizes, turns = np.divmod(things.poses, len(TURNS))
    radii = np.array(_RADII)[sizes] * rng.uniform(0.93, 1.07, count)
    angles = np.pi / 2 * turns + rng.uniform(-0.2, 0.2, count)
    room = SIDE / 2 - radii
    places = SIDE / 2 + rng.uniform(-1, 1, (count, 2)) * room[:, None] * 0.9
    # Of each fine pixel its place in the upright template.
    scale = (_TEMPLATE / 2.2 / radii).astype(np.float32)[:, None, None]
    cosine, sine = (scale * turned.astype(np.float32)[:, None, None]
                    for turned in (np.cos(angles), np.sin(angles)))  # fmt: skip
    x, y = (axis[None] - places[:, each, None].astype(np.float32) for each in (0, 1))
    x, y = x[:, None, :], y[:, :, None]
    own = [np.clip(each + _TEMPLATE / 2, 0, _TEMPLATE - 1).astype(np.int32)
           for each in (cosine * x + sine * y, cosine * y - sine * x)]  # fmt: skip
    outlines, marks = np.divmod(things.kinds, len(MARKS))
    parts = _templates()[outlines[:, None, None], marks[:, None, None], own[1], own[0]]
    whole = np.empty((count, fine, fine, 3), np.float32)
    for texture in np.unique(things.textures).tolist():
        rows = np.flatnonzero(things.textures == texture)
        whole[rows] = _ground(TEXTURES[texture], len(rows), across, down, rng)
    thing = parts > 0
    palette = _palettes(count, rng)
    whole[thing] = palette[np.nonzero(thing)[0], parts[thing]]
    small = whole.reshape(count, SIDE, _FINE, SIDE, _FINE, 3).mean(axis=(2, 4))
    small += rng.normal(0, 3, small.shape)
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def _palettes(count: int, rng: np.random.Generator) -> Floats:
    """`(n, 4, 3)`: nothing, a light fill, a dark mark and a darker border."""
    tints = rng.uniform(0.55, 1.0, (count, 3))
    fill = 250 * tints / tints.max(axis=1, keepdims=True)
    mark = rng.uniform(20, 70, (count, 3))
    border = np.broadcast_to(rng.uniform(0, 20, (count, 1)), (count, 3))
    return np.stack([np.zeros((count, 3)), fill, mark, border], axis=1).astype(np.float32)


def _ground(
    name: str, count: int, across: Floats, down: Floats, rng: np.random.Generator
) -> Floats:
    """`(n, h, w, 3)` of a texture with phases, periods and shades of their own."""
    pattern, colour = name.split()
    base = (np.array(_COLOURS[colour]) + rng.normal(0, 8, (count, 1, 1, 3))).astype(np.float32)
    period = rng.uniform(5.5, 8.0, (count, 1, 1)).astype(np.float32)
    right, low = (each + rng.uniform(0, 8, (count, 1, 1)).astype(np.float32)
                  for each in (across, down))  # fmt: skip
    if pattern == "shaded":
        shade = (down - SIDE / 2) / SIDE * np.where(rng.random((count, 1, 1)) < 0.5, -1, 1)
        return base * (1 + 0.9 * shade[..., None])
    waves = {
        "plain": lambda: np.zeros(low.shape),
        "striped": lambda: np.sin(2 * np.pi * right / period) > 0,
        "banded": lambda: np.sin(2 * np.pi * low / period) > 0,
        "slanted": lambda: np.sin(2 * np.pi * (right + low) / (1.4 * period)) > 0,
        "checked": lambda: (np.floor(2 * right / period) + np.floor(2 * low / period)) % 2 > 0,
        "dotted": lambda: (right % period - period / 2) ** 2
        + (low % period - period / 2) ** 2 < (0.27 * period) ** 2,
        "grainy": lambda: _grains(count, rng),
    }  # fmt: skip
    on = np.broadcast_to(waves[pattern](), (count, *across.shape))[..., None]
    return base * np.where(on, np.float32(0.55), np.float32(1.0))


def _grains(count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    cells = rng.random((count, SIDE // 2, SIDE // 2)) < 0.4
    return cells.repeat(2 * _FINE, axis=1).repeat(2 * _FINE, axis=2)


@cache
def _templates() -> Pixels:
    """`(6, 5, s, s)` over [-1.1, 1.1]: 0 outside, 1 fill, 2 mark, 3 border."""
    axis = (np.arange(_TEMPLATE) + 0.5) / _TEMPLATE * 2.2 - 1.1
    x, y = np.meshgrid(axis, axis)
    marks = (
        np.zeros_like(x, bool),
        x**2 + (y - 0.2) ** 2 < 0.3**2,
        np.abs(y - 0.25) < 0.16,
        np.abs(x) < 0.16,
        x > 0,
    )
    found = np.zeros((len(OUTLINES), len(MARKS), _TEMPLATE, _TEMPLATE), np.uint8)
    for place, points in enumerate(_polygons()):
        large = Image.new("L", (4 * _TEMPLATE, 4 * _TEMPLATE))
        corners = (points + 1.1) / 2.2 * 4 * _TEMPLATE
        ImageDraw.Draw(large).polygon([tuple(each) for each in corners], fill=255)
        inside = np.asarray(large.resize((_TEMPLATE, _TEMPLATE), Image.Resampling.BOX)) > 127
        border = inside & (distance_transform_edt(inside) < _BORDER / 2.2 * _TEMPLATE)
        for number, mark in enumerate(marks):
            found[place, number] = np.where(inside, np.where(mark, 2, 1), 0)
            found[place, number][border] = 3
    return found


def _polygons() -> tuple[Floats, ...]:
    """`(k, 2)` corners of each outline, upright, within a radius of about 1."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    belly = np.linspace(-0.2 * np.pi, 1.2 * np.pi, 32)
    arch = np.linspace(np.pi, 2 * np.pi, 24)
    heart = np.stack(
        [16 * np.sin(turn) ** 3,
         -(13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn))],
        axis=1,
    ) / 17  # fmt: skip
    drop = np.stack([0.62 * np.cos(belly), 0.35 + 0.62 * np.sin(belly)], axis=1)
    dome = np.stack([0.95 * np.cos(arch), 0.45 + 0.95 * np.sin(arch)], axis=1)
    return (
        np.array([[0, -1], [0.8, 0.8], [-0.8, 0.8]]),
        np.concatenate([drop, [[0, -1]]]),
        np.array([[0, -1], [0.75, -0.25], [0, 1], [-0.75, -0.25]]),
        np.array([[0, -1], [0.85, 0.9], [0, 0.4], [-0.85, 0.9]]),
        heart,
        np.concatenate([dome, [[0.95, 0.65], [-0.95, 0.65]]]),
    )


def _another(words: Sequence[str], word: str, rng: np.random.Generator) -> str:
    others = [each for each in words if each != word]
    return others[int(rng.integers(len(others)))]
