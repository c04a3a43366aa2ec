"""The network of the tables on pictures: small, fully convolutional, with a map of each class."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from refusals import Unusable
from torch import Tensor, nn

from models.published.untrusted import read_checkpoint

WIDTHS, STRIDES = (24, 48, 64, 64), (2, 2, 1, 1)


class Classifier(nn.Module):
    """3x3 convolutions with batch norm; classes are read off every place of the last.

    The logits are the mean over places of a linear map of the last stage, which is global average
    pooling before a linear layer, so the map of a class is its class activation map (Zhou et al.,
    "Learning Deep Features for Discriminative Localization", CVPR 2016).

    Args:
        classes: how many.
        widths: channels of each convolution.
        strides: of each convolution. A gradient is no finer than what they leave of a picture: with
            a third of 2, at 40 pixels, half of it spills over the border of an object.
    """

    def __init__(
        self, classes: int, widths: Sequence[int] = WIDTHS, strides: Sequence[int] = STRIDES
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for (before, width), stride in zip(pairwise([3, *widths]), strides, strict=True):
            layers += [
                nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv2d(widths[-1], classes, 1)

    def maps(self, images: Tensor) -> Tensor:
        """`(n, 3, s, s)` in [0, 1] to `(n, k, h, w)`, a map of each class."""
        maps: Tensor = self.head(self.features((images - 0.5) / 0.25))
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """`(n, 3, s, s)` in [0, 1] to `(n, k)` logits."""
        return self.maps(images).mean(dim=(2, 3))


class TimmClassifier(nn.Module):
    """A convolutional network of timm's with classes read off every place of its last map.

    Args:
        name: as timm calls it, such as `vgg16` or `resnet50`.
        classes: how many.
        weights: file of published weights of it; None: from scratch.
    """

    def __init__(self, name: str, classes: int, weights: Path | None = None) -> None:
        import timm  # noqa: PLC0415 (takes seconds)

        super().__init__()
        self.net = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
        if weights is not None:
            missing, _ = self.net.load_state_dict(dict(read_checkpoint(weights)), strict=False)
            if missing:
                raise Unusable(f"{weights} is not of {name}: it lacks {missing[0]}")
        self.head = nn.Conv2d(self.net.num_features, classes, 1)
        mean, std = (
            torch.tensor(self.net.default_cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std")
        )
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def maps(self, images: Tensor) -> Tensor:
        """`(n, 3, s, s)` in [0, 1] to `(n, k, h, w)`."""
        maps: Tensor = self.head(self.net.forward_features((images - self.mean) / self.std))
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """`(n, 3, s, s)` in [0, 1] to `(n, k)` logits."""
        return self.maps(images).mean(dim=(2, 3))
