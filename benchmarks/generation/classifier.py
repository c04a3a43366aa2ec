"""A classifier from few real pictures and many synthetic ones, as in "Beyond Objects".

arXiv 2510.24078; settings are those of its authors' program. Real and synthetic pictures are drawn
in the same batches, the real ones as often as the synthetic ones; each kind has a mean loss of its
own, and lambda weighs the two. CutMix (Yun et al., ICCV 2019) and MixUp (Zhang et al., ICLR 2018)
mix real with real and synthetic with synthetic. The epoch is the best one on validation: the test
is not seen here. It stands among the benches because the product names sources, not classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from PIL import Image
from shared import Classifier
from torch import Generator, Tensor, nn
from torch.nn import functional

from models.published.untrusted import read_checkpoint

if TYPE_CHECKING:
    from torchvision.transforms import v2

SMALL = ((32, 64, 96, 96), (1, 2, 2, 1))
"""Channels and strides of the network that is trained from scratch."""


class Labelled(Protocol):
    """Pictures with a class each."""

    labels: Tensor

    def picture(self, row: int) -> Tensor:
        """`(3, h, w)` uint8."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Pictures in memory, `(n, 3, h, w)` uint8."""

    images: Tensor
    labels: Tensor

    def picture(self, row: int) -> Tensor:
        """One of them."""
        return self.images[row]


@dataclass(frozen=True, slots=True, eq=False)
class Filed:
    """Pictures that are read when they are needed."""

    files: Sequence[Path]
    labels: Tensor

    def picture(self, row: int) -> Tensor:
        """One of them, RGB."""
        with Image.open(self.files[row]) as opened:
            pixels = np.array(opened.convert("RGB"))
        return torch.from_numpy(pixels).permute(2, 0, 1)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a training.

    Attributes:
        side: of what the network sees, in pixels.
        real: lambda, the weight of the loss on real pictures; the rest is that of synthetic ones.
            Without synthetic pictures it does nothing.
        epochs: of which the best one on validation is kept.
        warmup: epochs of a linear rise, before a cosine down to `last_rate`.
        batch: real and synthetic together.
        rate: the highest learning rate.
        decay: of AdamW.
        mixed: share of the batches that are mixed, half of them by CutMix and half by MixUp.
        strong: whether pictures are also changed in colour and by RandAugment.
    """

    side: int = 224
    real: float = 0.5
    epochs: int = 10
    warmup: int = 3
    batch: int = 64
    rate: float = 1e-4
    decay: float = 1e-4
    last_rate: float = 1e-8
    mixed: float = 0.2
    strong: bool = True

    def rate_at(self, step: int, each: int) -> float:
        """The learning rate of a step, of `each` an epoch."""
        rising, all_steps = self.warmup * each, self.epochs * each
        if step < rising:
            return self.last_rate + (self.rate - self.last_rate) * step / max(1, rising - 1)
        done = (step - rising) / max(1, all_steps - rising)
        return self.last_rate + (self.rate - self.last_rate) * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training ended with; the network has the weights of `epoch`.

    Attributes:
        epoch: the best on validation, from 0; the first of several.
        validation: accuracy of every epoch.
    """

    epoch: int
    validation: tuple[float, ...]

    @property
    def accuracy(self) -> float:
        """On validation, at its best."""
        return self.validation[self.epoch]


class FromTimm(nn.Module):
    """One of timm's networks, with its own mean and spread of pixels.

    Args:
        name: as timm calls it, such as `resnet50` or `vit_base_patch16_224`.
        classes: how many.
        weights: file of published weights of it; None: from scratch.
    """

    def __init__(self, name: str, classes: int, weights: Path | None = None) -> None:
        import timm  # noqa: PLC0415 (takes seconds)

        super().__init__()
        self.net = timm.create_model(name, pretrained=False, num_classes=classes)
        if weights is not None:
            given, own = dict(read_checkpoint(weights)), self.net.state_dict()
            fitting = {
                key: value
                for key, value in given.items()
                if key in own and isinstance(value, Tensor) and own[key].shape == value.shape
            }
            missing, _ = self.net.load_state_dict(fitting, strict=False)
            head = {f"{self.net.default_cfg['classifier']}.{each}" for each in ("weight", "bias")}
            if set(missing) - head:
                lacks = min(set(missing) - head)
                raise ValueError(f"{weights} is not of {name}: it lacks {lacks}")
        for key in ("mean", "std"):
            self.register_buffer(key, torch.tensor(self.net.default_cfg[key]).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """`(n, 3, s, s)` in [0, 1] to `(n, k)` logits."""
        logits: Tensor = self.net((images - self.mean) / self.std)
        return logits


def network(classes: int, name: str | None = None, weights: Path | None = None) -> nn.Module:
    """One of timm's, or the small one of the drawn world."""
    return Classifier(classes, *SMALL) if name is None else FromTimm(name, classes, weights)


def fit(
    model: nn.Module,
    real: Labelled,
    synthetic: Labelled | None,
    validation: Labelled,
    recipe: Recipe,
    seed: int,
) -> Trained:
    """Train, and leave the network at its best epoch on validation, in evaluation mode.

    Args:
        model: of as many classes as there are labels.
        real: the few.
        synthetic: the many; None: real pictures alone, as often an epoch as there are.
        validation: real, others.
        recipe: the settings.
        seed: of everything that is drawn.
    """
    from torchvision.transforms import v2  # noqa: PLC0415 (takes seconds)

    classes = int(real.labels.max()) + 1
    augment = training_views(recipe)
    mix = v2.RandomChoice([v2.CutMix(num_classes=classes), v2.MixUp(num_classes=classes)])
    rows = _rows(real, synthetic)
    optimizer = torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=recipe.decay)
    each, curve, best = -(-len(rows) // recipe.batch), [], {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(recipe.epochs):
            model.train()
            order = torch.randperm(len(rows), generator=Generator().manual_seed(seed + 101 * epoch))
            for step, part in enumerate(rows[order].split(recipe.batch)):
                for group in optimizer.param_groups:
                    group["lr"] = recipe.rate_at(epoch * each + step, each)
                optimizer.zero_grad()
                _loss(model, real, synthetic, part, augment, mix, recipe).backward()
                optimizer.step()
            curve.append(float((predictions(model, validation, recipe) == validation.labels)
                               .float().mean()))  # fmt: skip
            if curve[-1] > max(curve[:-1], default=-1.0):
                best = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(best)
    model.eval()
    return Trained(curve.index(max(curve)), tuple(round(each, 4) for each in curve))


def _rows(real: Labelled, synthetic: Labelled | None) -> Tensor:
    """`(n, 2)`: whether a picture is synthetic, and which; a class has as many of either kind."""
    pairs = []
    for label in real.labels.unique().tolist():
        own = torch.nonzero(real.labels == label)[:, 0]
        made = own[:0] if synthetic is None else torch.nonzero(synthetic.labels == label)[:, 0]
        times = max(1, len(made) // len(own))
        pairs.append(torch.stack([torch.zeros(times * len(own)).long(), own.repeat(times)], dim=1))
        pairs.append(torch.stack([torch.ones(len(made)).long(), made], dim=1))
    return torch.cat(pairs)


def _loss(
    model: nn.Module,
    real: Labelled,
    synthetic: Labelled | None,
    rows: Tensor,
    augment: Callable[[Tensor], Tensor],
    mix: nn.Module,
    recipe: Recipe,
) -> Tensor:
    r"""`lambda CE(real) + (1 - lambda) CE(synthetic)`, a kind that is not there left out."""
    images, targets, weights = [], [], []
    mixing = torch.rand(()) < recipe.mixed
    for kind, (source, weight) in enumerate(((real, recipe.real), (synthetic, 1 - recipe.real))):
        own = rows[rows[:, 0] == kind, 1]
        if source is None or not len(own):
            continue
        seen = torch.stack([augment(source.picture(row)) for row in own.tolist()])
        labels = source.labels[own]
        mixed, target = mix(seen, labels) if mixing else (seen, labels)
        images.append(mixed)
        targets.append(target)
        weights.append(1.0 if synthetic is None else weight)
    device = next(model.parameters()).device
    logits = model(torch.cat(images).to(device)).split([len(each) for each in images])
    losses = [weight * functional.cross_entropy(found, target.to(device))
              for weight, found, target in zip(weights, logits, targets, strict=True)]  # fmt: skip
    return torch.stack(losses).sum()


@torch.no_grad()
def predictions(model: nn.Module, pictures: Labelled, recipe: Recipe) -> Tensor:
    """`(n,)` classes; the network is left in evaluation mode."""
    from torchvision.transforms import InterpolationMode, v2  # noqa: PLC0415 (takes seconds)

    model.eval()
    device = next(model.parameters()).device
    seen = v2.Compose(
        [
            v2.Resize(recipe.side, InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(recipe.side),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    found = []
    for rows in torch.arange(len(pictures.labels)).split(4 * recipe.batch):
        images = torch.stack([seen(pictures.picture(row)) for row in rows.tolist()])
        found.append(model(images.to(device)).argmax(dim=1).cpu())
    return torch.cat(found)


def training_views(recipe: Recipe) -> v2.Compose:
    """From a picture to what the network is trained on, `(3, s, s)` in [0, 1]."""
    from torchvision.transforms import InterpolationMode, v2  # noqa: PLC0415 (takes seconds)

    crop = v2.RandomResizedCrop(
        recipe.side, (0.25, 1.0), interpolation=InterpolationMode.BICUBIC, antialias=True
    )
    steps: list[nn.Module] = [crop, v2.RandomHorizontalFlip()]
    if recipe.strong:
        jitter = v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
        blur = v2.GaussianBlur(5, (0.1, 2.0))
        steps = [
            v2.RandAugment(),
            *steps,
            v2.RandomApply([jitter], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([blur], 0.2),
            v2.RandomSolarize(128, 0.2),
        ]
    return v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True)])
