"""Synthetic sequences of skeletons, of which it is known who acts; nobody was filmed.

A figure of thirteen joints stands anywhere, of any size, and every joint trembles. In each sequence
one person acts, all through it; the others stand, or move one or two joints to and fro, which is no
action.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
JOINTS = {
    "head": (0.0, -1.0),
    "left shoulder": (-0.25, -0.7),
    "right shoulder": (0.25, -0.7),
    "left elbow": (-0.35, -0.4),
    "right elbow": (0.35, -0.4),
    "left hand": (-0.38, -0.1),
    "right hand": (0.38, -0.1),
    "left hip": (-0.15, 0.0),
    "right hip": (0.15, 0.0),
    "left knee": (-0.17, 0.45),
    "right knee": (0.17, 0.45),
    "left foot": (-0.18, 0.95),
    "right foot": (0.18, 0.95),
}
ACTIONS = ("wave", "kick", "crouch", "bow", "jump", "clap")
_NAMES = tuple(JOINTS)
_STILL = np.array([JOINTS[name] for name in _NAMES])
_TREMBLE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """Sequences and who acts in them.

    Attributes:
        points: `(n, 2, p, f, e)` places of the joints, the frame being [-1, 1] wide.
        labels: `(n,)` action of the one who acts.
        actors: `(n,)` slot of that one.
    """

    points: Tensor
    labels: Tensor
    actors: Tensor

    def __len__(self) -> int:
        return len(self.points)


def make_sequences(
    count: int, rng: np.random.Generator, *, persons: int = 3, frames: int = 16
) -> Sequences:
    """As many of each action, in turn."""
    points = np.empty((count, 2, persons, frames, len(_NAMES)))
    actors = rng.integers(persons, size=count)
    for number in range(count):
        for person in range(persons):
            moved = (
                acting(ACTIONS[number % len(ACTIONS)], frames, rng)
                if person == actors[number]
                else idle(frames, rng)
            )
            place, size = rng.uniform(-0.6, 0.6, 2), rng.uniform(0.2, 0.4)
            shown = place + size * (moved + rng.normal(0, _TREMBLE, moved.shape))
            points[number, :, person] = shown.transpose(2, 0, 1)
    return Sequences(
        torch.from_numpy(points).float(),
        torch.arange(count) % len(ACTIONS),
        torch.from_numpy(actors),
    )


def acting(action: str, frames: int, rng: np.random.Generator) -> Floats:
    """`(f, e, 2)` of one of `ACTIONS`, at a pace and with a strength of its own."""
    body = np.repeat(_STILL[None], frames, axis=0)
    beat = _beat(frames, rng) * rng.uniform(0.6, 1.2)
    side = str(rng.choice(["left", "right"]))
    if action == "wave":
        _shift(body, f"{side} hand", 0.25 * beat, -0.9)
        _shift(body, f"{side} elbow", 0.1 * beat, -0.4)
    elif action == "kick":
        _shift(body, f"{side} foot", 0.4 * np.abs(beat), -0.4 * np.abs(beat))
        _shift(body, f"{side} knee", 0.2 * np.abs(beat), -0.2 * np.abs(beat))
    elif action == "crouch":
        for name in _NAMES[:9]:
            _shift(body, name, 0.0, 0.35 * np.abs(beat))
        for name in ("left knee", "right knee"):
            _shift(body, name, (-0.15 if "left" in name else 0.15) * np.abs(beat), 0.0)
    elif action == "bow":
        for name, far in (("head", 0.6), ("left shoulder", 0.4), ("right shoulder", 0.4)):
            _shift(body, name, far * np.abs(beat), 0.4 * far * np.abs(beat))
    elif action == "jump":
        body[..., 1] -= 0.5 * np.abs(beat)[:, None]
    else:
        for name, way in (("left hand", 1), ("right hand", -1)):
            _shift(body, name, way * 0.35 * (0.5 + 0.5 * beat), -0.4)
    return body


def idle(frames: int, rng: np.random.Generator) -> Floats:
    """`(f, e, 2)` of somebody who stands, or moves up to two joints."""
    body = np.repeat(_STILL[None], frames, axis=0)
    for _ in range(rng.integers(3)):
        name = _NAMES[rng.integers(len(_NAMES))]
        angle = rng.uniform(0, 2 * np.pi)
        beat = 0.4 * _beat(frames, rng)
        _shift(body, name, np.cos(angle) * beat, np.sin(angle) * beat)
    return body


def tubes(points: Floats) -> list[Floats]:
    """Of each person of a sequence `(2, p, f, e)` the rows of frame and box, `(f, 5)`."""
    low, high = points.min(axis=3), points.max(axis=3)
    frames = np.arange(points.shape[2])
    return [
        np.stack([frames, *low[:, person], *high[:, person]], axis=1)
        for person in range(points.shape[1])
    ]


def _beat(frames: int, rng: np.random.Generator) -> Floats:
    turns = rng.uniform(1, 3)
    beat: Floats = np.sin(2 * np.pi * (turns * np.arange(frames) / frames + rng.random()))
    return beat


def _shift(body: Floats, joint: str, across: Floats | float, down: Floats | float) -> None:
    body[:, _NAMES.index(joint), 0] += across
    body[:, _NAMES.index(joint), 1] += down
