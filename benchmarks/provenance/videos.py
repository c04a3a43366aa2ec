"""UCF101-24 skeletons: sequences of one size, a network trained on them, and tubes of persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from actors import Reader, claims, mean_average_precision, samples_of, sequence_loss
from arms import Trial
from layouts import Video, person_tubes
from torch import Generator, Tensor
from trainings import Knobs, Record, arrays, fit

FRAMES, PERSONS = 32, 5


def run_ucf(
    trial: Trial, parts: Mapping[str, Sequence[Video]], classes: int, knobs: Knobs
) -> Record:
    """Train on the labels of videos, measure tubes."""
    videos = parts["train"]
    points = torch.stack([normalised(video) for video in videos])
    labels = torch.tensor([video.label for video in videos])
    torch.manual_seed(trial.seed)
    model = Reader(classes, points.shape[-1], 128).train()

    def loss(rows: Tensor, draw: Generator) -> Tensor:
        return sequence_loss(model, trial, points[rows], labels[rows], classes, draw)

    seconds = fit(model, loss, trial, len(videos), knobs)
    validation, test = (_claimed(model, parts[name]) for name in ("validation", "test"))
    found = [
        mean_average_precision(
            arrays(samples),
            np.ones(len(samples["hit"])),
        )
        for samples in (validation, test)
    ]
    return {
        "validation": found[0],
        "figures": {"ap": found[1]},
        "samples": test,
        "cpu_seconds_epoch": seconds,
    }


def chosen(video: Video) -> list[int]:
    """The persons that are seen best, at most `PERSONS`."""
    sure = video.scores.mean(axis=(1, 2))
    return [int(each) for each in np.argsort(-sure, kind="stable")[:PERSONS]]


def normalised(video: Video) -> Tensor:
    """`(2, PERSONS, FRAMES, e)`, the frame being [-1, 1] wide; the first fills slots left over.

    A network that takes the largest of each feature over persons does not notice a person twice.
    """
    people = chosen(video)
    people += people[:1] * (PERSONS - len(people))
    frames = np.linspace(0, video.points.shape[1] - 1, FRAMES).round().astype(int)
    points = video.points[np.array(people)][:, frames]
    size = np.array(video.size)
    return torch.from_numpy((2 * points - size) / size[0]).permute(3, 0, 1, 2).float()


def _claimed(model: Reader, videos: Sequence[Video]) -> dict[str, list[float]]:
    people = [[person_tubes(video)[each] for each in chosen(video)] for video in videos]
    points = torch.stack([normalised(video) for video in videos])
    found = claims(model, points, people, [video.name for video in videos])
    return samples_of(found, {(video.name, video.label): video.truths for video in videos})
