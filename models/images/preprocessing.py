"""From a decoded picture to the tensor a backbone expects, by a declared specification."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from PIL import Image
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Preprocessing:
    """How a picture is resized and scaled; part of an encoder's card and of its `model_id`.

    `squash` resizes the whole picture to `height x width`, whatever its aspect: nothing is cut
    off. `centre-crop` resizes the short side to `size / crop_fraction` and keeps the centre, as
    most published ViTs were evaluated. `mean` and `std` are of RGB in [0, 1].
    """

    height: int
    width: int
    resize: Literal["squash", "centre-crop"] = "squash"
    crop_fraction: float = 1.0
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)

    def __call__(self, image: Image.Image) -> Tensor:
        """Turn an RGB picture into a `(3, height, width)` float32 tensor."""
        resized = self._squash(image) if self.resize == "squash" else self._centre_crop(image)
        pixels = np.asarray(resized).transpose(2, 0, 1).astype(np.float32, order="C")
        pixels /= np.float32(255)
        pixels -= np.array(self.mean, np.float32)[:, None, None]
        pixels /= np.array(self.std, np.float32)[:, None, None]
        return torch.from_numpy(pixels)

    def scaled(self, images: Tensor) -> Tensor:
        """`(n, 3, H, W)` in [0, 1], of any size, by mean and deviation as a backbone expects."""
        mean = images.new_tensor(self.mean)[:, None, None]
        return (images - mean) / images.new_tensor(self.std)[:, None, None]

    def _squash(self, image: Image.Image) -> Image.Image:
        return image.resize((self.width, self.height), _RESAMPLING[self.interpolation])

    def _centre_crop(self, image: Image.Image) -> Image.Image:
        scale = max(
            self.width / self.crop_fraction / image.width,
            self.height / self.crop_fraction / image.height,
        )
        size = (
            max(self.width, round(image.width * scale)),
            max(self.height, round(image.height * scale)),
        )
        resized = image.resize(size, _RESAMPLING[self.interpolation])
        left = (size[0] - self.width) // 2
        top = (size[1] - self.height) // 2
        return resized.crop((left, top, left + self.width, top + self.height))
