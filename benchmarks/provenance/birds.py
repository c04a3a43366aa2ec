"""CUB and Waterbirds: pictures in memory, networks trained on them, and what is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from arms import Trial
from boxes import MIXES, mixed_loss, overlaps_of, samples_of
from classification import edited_loss
from layouts import Picture
from measures import max_box_hits
from network import Classifier, TimmClassifier
from PIL import Image
from table import worst_of
from torch import Generator, Tensor, nn
from torch.nn import functional
from trainings import Knobs, Record, fit

from attribution.synthesis.composites.composite import Composites
from attribution.synthesis.composites.editing import recolour, unedited


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Pictures of a part of a set, squashed.

    Attributes:
        images: `(n, 3, s, s)` uint8.
        labels: `(n,)`.
        boxes: `(n, 4)` in these pixels; empty where the set has none.
        places: `(n,)`.
        edited: `(n, 3, s, s)` uint8, or None.
    """

    images: Tensor
    labels: Tensor
    boxes: np.ndarray
    places: Tensor
    edited: Tensor | None = None

    def batch(self, rows: Tensor) -> Tensor:
        """In [0, 1]."""
        return self.images[rows].float() / 255


def read_pixels(pictures: Sequence[Picture], side: int, edits: Path | None = None) -> Pixels:
    """Read a part of a set."""
    images, boxes, edited = [], [], []
    for each in pictures:
        with Image.open(each.file) as opened:
            width, height = opened.size
            images.append(_squashed(opened, side))
        if each.box is not None:
            boxes.append(each.box * side / np.array([width, height, width, height]))
        if edits is not None:
            with Image.open(edits / each.name) as opened:
                edited.append(_squashed(opened, side))
    return Pixels(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
        torch.tensor([each.label for each in pictures]),
        np.array(boxes),
        torch.tensor([each.place or 0 for each in pictures]),
        torch.from_numpy(np.stack(edited)).permute(0, 3, 1, 2) if edited else None,
    )


def _squashed(picture: Image.Image, side: int) -> np.ndarray:
    return np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))


def network(classes: int, knobs: Knobs) -> nn.Module:
    """The tables' own network, or one of timm's."""
    if knobs.timm is None:
        return Classifier(classes)
    return TimmClassifier(knobs.timm, classes, knobs.weights)


def run_cub(trial: Trial, parts: Mapping[str, Pixels], knobs: Knobs, mix: str) -> Record:
    """Train on labels, measure boxes."""
    pixels = parts["train"]
    torch.manual_seed(trial.seed)
    model = network(int(pixels.labels.max()) + 1, knobs).train()

    def loss(rows: Tensor, draw: Generator) -> Tensor:
        return mixed_loss(model, trial, MIXES[mix], pixels.batch(rows), pixels.labels[rows], draw)

    seconds = fit(model, loss, trial, len(pixels.labels), knobs)
    hits = {name: _hits(model, parts[name]) for name in ("validation", "test")}
    samples = samples_of(hits["test"], parts["test"].boxes, knobs.side)
    samples |= {"right": _right(model, parts["test"])}
    return {
        "validation": float(hits["validation"].mean()),
        "figures": {"v2": float(hits["test"].mean()), "accuracy": float(np.mean(samples["right"]))},
        "samples": samples,
        "cpu_seconds_epoch": seconds,
    }


def run_waterbirds(trial: Trial, parts: Mapping[str, Pixels], knobs: Knobs) -> Record:
    """Train on pictures and edits, measure accuracy on average and of the worst group."""
    pixels = parts["train"]
    torch.manual_seed(trial.seed)
    model = network(int(pixels.labels.max()) + 1, knobs).train()

    def loss(rows: Tensor, draw: Generator) -> Tensor:
        images, labels = pixels.batch(rows), pixels.labels[rows]
        if trial.arm == "no synthesis":
            return functional.cross_entropy(model(images), labels)
        made = edits_of(images, None if pixels.edited is None else pixels.edited[rows], draw)
        return edited_loss(model, trial, images, labels, made, made.masks)

    seconds = fit(model, loss, trial, len(pixels.labels), knobs)
    found = {name: _grouped(model, parts[name]) for name in ("validation", "test")}
    worst = {name: worst_of(each) for name, each in found.items()}
    average = float(np.mean(found["test"]["right"]))
    return {
        "validation": worst["validation"],
        "figures": {"average": average, "worst_group": worst["test"]},
        "samples": found["test"],
        "cpu_seconds_epoch": seconds,
    }


def edits_of(images: Tensor, edited: Tensor | None, draw: Generator) -> Composites:
    """The edited pictures that were given, with masks by difference, or regions recoloured."""
    rows = torch.arange(len(images))[:, None]
    if edited is None:
        return recolour(images, rows, draw)
    after = edited.float() / 255
    return Composites(after, unedited(images, after), rows)


def _hits(model: nn.Module, pixels: Pixels) -> np.ndarray:
    found = [
        overlaps_of(model, pixels.batch(rows), pixels.labels[rows], pixels.boxes[rows.numpy()])
        for rows in torch.arange(len(pixels.labels)).split(64)
    ]
    return max_box_hits(np.concatenate(found))


def _right(model: nn.Module, pixels: Pixels) -> list[int]:
    with torch.no_grad():
        found = torch.cat(
            [model(pixels.batch(rows)).argmax(dim=1)
             for rows in torch.arange(len(pixels.labels)).split(64)]
        )  # fmt: skip
    right: list[int] = (found == pixels.labels).long().tolist()
    return right


def _grouped(model: nn.Module, pixels: Pixels) -> dict[str, list[int]]:
    groups = (pixels.labels * (1 + int(pixels.places.max())) + pixels.places).tolist()
    return {"right": _right(model, pixels), "group": groups}
