"""What generated pixels show, by a network that knows the world, and how far they are from it.

The network is trained on many pictures of the ten classes whose context is independent of them; it
finds class, texture and pose, and its embedding is what distances are taken in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from resumable import Pace, train
from shared import rounded
from torch import Generator, Tensor, nn
from torch.nn import functional
from world import CLASSES, POSES, TEXTURES, render, uncorrelated

Floats = NDArray[np.float64]
PICTURES = 16_000
PACE = Pace(steps=1_600, batch=64, rate=3e-3, memory=0.99, keep_every=200)
QUICK = Pace(steps=120, batch=32, rate=3e-3, memory=0.9, keep_every=60)
NEIGHBOURS = 3


class Judge(nn.Module):
    """Class, texture and pose from pictures of 32 pixels, by way of 24 numbers."""

    def __init__(self) -> None:
        super().__init__()
        widths, layers = (3, 32, 64, 96, 128), []
        for place, (before, width) in enumerate(pairwise(widths)):
            layers += [
                nn.Conv2d(before, width, 3, stride=1 + (place > 0), padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.embedding = nn.Linear(widths[-1], 24)
        self.heads = nn.ModuleList(
            nn.Linear(24, count) for count in (len(CLASSES), len(TEXTURES), len(POSES))
        )

    def embed(self, images: Tensor) -> Tensor:
        """`(n, 3, 32, 32)` uint8 to `(n, 24)`."""
        found: Tensor = self.embedding(self.features((images.float() / 255 - 0.5) / 0.25))
        return found

    def forward(self, images: Tensor) -> list[Tensor]:
        """Logits of class, texture and pose."""
        found = functional.relu(self.embed(images))
        return [head(found) for head in self.heads]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the judge finds in `n` pictures.

    Attributes:
        labels: places in `CLASSES`.
        textures: places in `TEXTURES`.
        poses: places in `POSES`.
        embeddings: `(n, 24)`.
    """

    labels: NDArray[np.int64]
    textures: NDArray[np.int64]
    poses: NDArray[np.int64]
    embeddings: Floats


def train_judge(pace: Pace, file: Path, pictures: int = PICTURES) -> Judge:
    """The network, trained once; `file` holds it."""
    torch.manual_seed(0)
    judge = Judge().train()

    @cache
    def drawn() -> tuple[Tensor, list[Tensor]]:
        rng = np.random.default_rng(30)
        things = uncorrelated(pictures, CLASSES, rng, len(TEXTURES))
        pixels = torch.from_numpy(render(things, rng)).permute(0, 3, 1, 2).contiguous()
        known = (things.labels, things.textures, things.poses)
        return pixels, [torch.from_numpy(each) for each in known]

    def loss(step: int) -> Tensor:
        pixels, targets = drawn()
        rows = torch.randint(len(pixels), (pace.batch,), generator=Generator().manual_seed(step))
        found = judge(pixels[rows])
        losses = [
            functional.cross_entropy(logits, target[rows])
            for logits, target in zip(found, targets, strict=True)
        ]
        return torch.stack(losses).sum()

    train(judge, loss, pace, file, "judge")
    return judge


@torch.no_grad()
def look(judge: Judge, images: Tensor) -> Seen:
    """What pictures show, `(n, 3, 32, 32)` uint8."""
    parts = [(judge.embed(part), judge(part)) for part in images.split(256)]
    labels, textures, poses = (
        torch.cat([logits[place] for _, logits in parts]).argmax(dim=1).numpy()
        for place in range(3)
    )
    embeddings = torch.cat([each for each, _ in parts]).double().numpy()
    return Seen(labels, textures, poses, embeddings)


def frechet(first: Floats, second: Floats) -> float:
    r"""Squared Fréchet distance of two Gaussians with these samples' moments.

    .. math:: |\mu_1 - \mu_2|^2 + \mathrm{tr}(S_1 + S_2 - 2 (S_1^{1/2} S_2 S_1^{1/2})^{1/2})

    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017, in an embedding of
    ours, so that figures compare only with each other. It is biased upwards where samples are few.

    Args:
        first: `(n, d)`.
        second: `(m, d)`.
    """
    one, two = (np.cov(each, rowvar=False) for each in (first, second))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    common = np.sqrt(np.clip(np.linalg.eigvalsh(root @ two @ root), 0, None)).sum()
    apart = ((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum()
    return float(apart + np.trace(one) + np.trace(two) - 2 * common)


def covered(real: Floats, made: Floats, neighbours: int = NEIGHBOURS) -> float:
    """Recall: the share of real samples that lie within the reach of a made one.

    A made sample reaches as far as its k-th nearest among the made ones. Kynkäänniemi et al.,
    "Improved Precision and Recall Metric for Assessing Generative Models", NeurIPS 2019. With the
    arguments exchanged it is their precision.

    Args:
        real: `(n, d)`.
        made: `(m, d)`, more than `neighbours`.
        neighbours: k.
    """
    within = np.sort(_distances(made, made), axis=1)[:, neighbours]
    return float((_distances(real, made) <= within).any(axis=1).mean())


def by_class(
    real: Seen, labels: NDArray[np.int64], made: Seen, asked: NDArray[np.int64]
) -> dict[str, list[float]]:
    """Of each class the distance to real pictures, recall, precision, and what the judge says.

    Not a number, all of them, of a class of which hardly any image was kept.

    Args:
        real: of `n` real pictures.
        labels: `(n,)` their classes.
        made: of `m` images.
        asked: `(m,)` the classes that they were asked for.
    """
    rows = []
    for label in range(int(labels.max()) + 1):
        one, two = real.embeddings[labels == label], made.embeddings[asked == label]
        if len(two) <= NEIGHBOURS:
            rows.append([float("nan")] * 4)
            continue
        faithful = float((made.labels[asked == label] == label).mean())
        rows.append([frechet(one, two), covered(one, two), covered(two, one), faithful])
    names = ("frechet", "recall", "precision", "faithful")
    return {
        name: rounded(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }


def _distances(first: Floats, second: Floats) -> Floats:
    return np.asarray(np.linalg.norm(first[:, None] - second[None], axis=2))
