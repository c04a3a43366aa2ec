"""Few pictures of each class, and the synthetic ones that the product's own path makes of them.

What is done here is what `attribution generate --generator diffusion --subject group` does: tune,
plan, make. It is taken apart so that arms share a tuning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from world import CLASSES, KINDS, POSES, WORLD, Things, free_list, misheard, render

from attribution.synthesis.context.bank import ContextBank, Source
from attribution.synthesis.context.captioner import Described
from attribution.synthesis.context.making import Made, make_images
from attribution.synthesis.context.plan import plan_images
from attribution.synthesis.context.prompts import prompt
from attribution.synthesis.diffusion.networks import load_networks
from attribution.synthesis.diffusion.painter import GUIDANCE, STEPS, Painter
from attribution.synthesis.diffusion.recipe import TuningRecipe
from attribution.synthesis.diffusion.tuning import Shot, Tuning

LISTED = 100
"""Contexts of the free list, as many as in the paper."""


@dataclass(frozen=True, slots=True, eq=False)
class FewShot:
    """Pictures of classes with their contexts.

    Attributes:
        bank: pictures, in the order of the set, contexts, and the free list.
        pictures: by the names of the bank.
        classes: in the order of their labels.
        descriptor: what every subject is.
    """

    bank: ContextBank
    pictures: Mapping[str, Image.Image]
    classes: tuple[str, ...]
    descriptor: str

    @property
    def labels(self) -> Tensor:
        """`(n,)` in the order of the bank."""
        return torch.tensor([self.classes.index(row.class_name) for row in self.bank.described])


@dataclass(frozen=True, slots=True)
class Sampling:
    """How images are made.

    Attributes:
        each: images of a class.
        steps: of the sampler.
        guidance: how much stronger a prompt counts than none.
        size: side in pixels; None for the model's own.
        seed: of contexts and noise.
        device: where torch computes.
        at_once: images that are drawn together.
    """

    each: int = 100
    steps: int = STEPS
    guidance: float = GUIDANCE
    size: int | None = None
    seed: int = 0
    device: str = "cpu"
    at_once: int = 1


def confounded(
    seed: int, shots: int, correlated: float, noise: float = 0.0
) -> tuple[FewShot, Things]:
    """A few-shot set of the drawn world whose classes have backgrounds and poses of their own.

    Each class has one texture at home and one pose, which change with the seed. A picture shows it
    there with probability `correlated`, texture and pose each for itself, or anywhere.

    Args:
        seed: of everything.
        shots: pictures of a class.
        correlated: see above.
        noise: share of the captions that say something else; see `misheard`.
    """
    rng = np.random.default_rng([40, seed])
    homes = rng.permutation(WORLD)[: len(CLASSES)]
    stances = np.concatenate([rng.permutation(len(POSES)), rng.permutation(len(POSES))])
    count = shots * len(CLASSES)
    places = np.arange(len(CLASSES)).repeat(shots)
    anywhere = [rng.random(count) >= correlated for _ in range(2)]
    textures = np.where(anywhere[0], rng.integers(WORLD, size=count), homes[places])
    poses = np.where(anywhere[1], rng.integers(len(POSES), size=count), stances[places])
    things = Things(np.array(CLASSES)[places], textures, poses)
    names = [KINDS[kind] for kind in CLASSES]
    contexts = misheard(things.contexts, noise, np.random.default_rng([43, seed]))
    pixels = render(things, rng)
    described = tuple(
        Described(f"{names[place]}/{number}.png", names[place], context)
        for number, (place, context) in enumerate(zip(places.tolist(), contexts, strict=True))
    )
    shown = {row.image: Image.fromarray(each) for row, each in zip(described, pixels, strict=True)}
    listed = free_list(LISTED, rng)
    return FewShot(ContextBank(described, listed), shown, tuple(names), "thing"), things


def tune(
    few: FewShot,
    model: str | Path,
    recipe: TuningRecipe,
    folder: Path,
    *,
    preserve: bool,
    device: str = "cpu",
) -> Path:
    """The file of the updates, made once; prompts say the context where it is to be preserved."""
    shots = [
        Shot(
            few.pictures[row.image],
            prompt(row.class_name, row.context if preserve else None, descriptor=few.descriptor),
        )
        for row in few.bank.described
    ]
    return Tuning(load_networks(model, device=device), shots, recipe, folder).run()


def make(
    few: FewShot, model: str | Path, updates: Path, source: Source, sampling: Sampling, out: Path
) -> Made:
    """Synthetic images in contexts from a source; a folder with some of them is gone on with."""
    painter = Painter(
        load_networks(model, device=sampling.device),
        updates,
        steps=sampling.steps,
        guidance=sampling.guidance,
        size=sampling.size,
        at_once=sampling.at_once,
    )
    plan = plan_images(
        few.bank,
        sampling.each,
        model=painter.name,
        source=source,
        seed=sampling.seed,
        descriptor=few.descriptor,
        classes=few.classes,
    )
    return make_images(plan, few.pictures, painter, out, at_once=painter.at_once)


def made_files(folder: Path, classes: tuple[str, ...]) -> tuple[list[Path], Tensor]:
    """The images of a folder of `make`, or of `attribution generate`, and their labels."""
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = list(map(json.loads, lines))
    labels = [classes.index(row["class"]) for row in rows]
    return [folder / row["query"] for row in rows], torch.tensor(labels)


def as_tensor(images: list[Image.Image]) -> Tensor:
    """`(n, 3, h, w)` uint8 of pictures of one size."""
    stacked = np.stack(list(map(partial(np.asarray, dtype=np.uint8), images)))
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous()
