"""Images read as a published backbone sees them: its size, its crop; for heads on top of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attribution.training.data.images import (
    ImageSet,
    OnLeftOut,
    log_left_out,
    member_names,
    read_set,
)
from models.images.decoding import decode
from models.images.preprocessing import Preprocessing


def read_framed(
    paths: Sequence[Path],
    shape: Preprocessing,
    *,
    exclude: frozenset[str] = frozenset(),
    limit: int | None = None,
    seed: int = 0,
    on_read: Callable[[int], None] | None = None,
    on_left_out: OnLeftOut = log_left_out,
) -> ImageSet:
    """Read images of folders and tar files, resized and cropped as an encoder does it.

    `read_images` squashes every image, which is right for the project's own network only: small
    directions of a descriptor depend on how a picture was scaled, and most published backbones
    see the centre of it undistorted. Pictures are decoded exactly as a query is.

    Args:
        paths: folders (searched recursively), `.tar` files or single images.
        shape: of the encoder; its mean and deviation are left to whoever describes the images.
        exclude: names that are left out, to hold images out.
        limit: read so many images, drawn at random; all by default. A set takes 150 kB an image
            of 224 pixels.
        seed: of that draw.
        on_read: called with the number of images read so far.
        on_left_out: called with the name of an image that cannot be read, and why.

    Raises:
        NoImages: nothing readable was found.
    """
    chosen = _drawn(member_names(paths) - exclude, limit, seed)
    frame = replace(shape, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return read_set(
        paths,
        wanted=lambda name: name in chosen,
        convert=lambda data: _framed(data, frame),
        on_read=on_read,
        on_left_out=on_left_out,
    )


def _drawn(names: frozenset[str], limit: int | None, seed: int) -> frozenset[str]:
    if limit is None or limit >= len(names):
        return names
    order = np.random.default_rng(seed).permutation(len(names))[:limit]
    ordered = sorted(names)
    return frozenset(ordered[place] for place in order)


def _framed(data: bytes, frame: Preprocessing) -> Tensor:
    """`(3, H, W)` uint8."""
    return (frame(decode(data).image) * 255.0).round().to(torch.uint8)
