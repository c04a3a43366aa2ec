"""Pictures drawn by formula, for a comparison of engines that needs no photographs."""

from __future__ import annotations

import numpy as np
from PIL import Image

_HEIGHT, _WIDTH = 120, 160


def drawn(count: int, seed: int = 0) -> list[Image.Image]:
    """RGB noise whose amplitude falls with frequency, as that of photographs does.

    Field (Journal of the Optical Society of America A, 1987): amplitude 1 / f. Every second one is
    of few levels, with edges between them.
    """
    draw = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(_HEIGHT)[:, None], np.fft.rfftfreq(_WIDTH)[None]
    amplitude = 1 / np.maximum(np.hypot(rows, columns), 1 / _WIDTH)
    pictures = []
    for number in range(count):
        noise = draw.normal(size=(3, *amplitude.shape)) + 1j * draw.normal(
            size=(3, *amplitude.shape)
        )
        field = np.fft.irfft2(noise * amplitude, s=(_HEIGHT, _WIDTH))
        field /= field.std(axis=(1, 2), keepdims=True)
        if number % 2:
            field = np.rint(field)
        levels = (128 + 60 * field).clip(0, 255).astype(np.uint8)
        pictures.append(Image.fromarray(levels.transpose(1, 2, 0)))
    return pictures
