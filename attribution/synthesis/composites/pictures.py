"""Composites of pictures, one at a time and by the name of their kind. Knows no manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image, ImageOps

from attribution.synthesis.composites.composite import Compose
from attribution.synthesis.composites.editing import inpaint, recolour
from attribution.synthesis.composites.mixing import cutmix, puzzlemix, resizemix
from attribution.synthesis.composites.pasting import paste
from attribution.synthesis.composites.storing import Mask

Mix = Literal["cutmix", "resizemix", "puzzlemix", "paste"]
Edit = Literal["recolour", "inpaint"]
Kind = Literal["cutmix", "resizemix", "puzzlemix", "paste", "recolour", "inpaint"]

MIXES: Mapping[Mix, Compose] = {
    "cutmix": cutmix,
    "resizemix": resizemix,
    "puzzlemix": puzzlemix,
    "paste": paste,
}
EDITS: Mapping[Edit, Compose] = {"recolour": recolour, "inpaint": inpaint}
KINDS: tuple[Kind, ...] = get_args(Kind)
_WAYS: Mapping[str, Compose] = dict([*MIXES.items(), *EDITS.items()])
SMALLEST_SIDE = 16
"""Of a frame, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """A composite picture and the share of its first source in each pixel, `(h, w)`."""

    image: Image.Image
    mask: Mask


def sources_of(kind: Kind) -> int:
    """How many pictures a composite of a kind is made of."""
    return 2 if kind in MIXES else 1


def composed(kind: Kind, sources: Sequence[Image.Image], *, seed: int, size: int) -> Composed:
    """A composite of pictures, in a frame of the first one's proportions.

    Args:
        kind: a key of `MIXES` or `EDITS`.
        sources: any mode, read as RGB; as many as `sources_of` says. The second is scaled and
            cropped about its centre to fill the frame.
        seed: the same seed gives the same pixels on the same machine.
        size: long side of the frame in pixels; the short side has 16 at least.

    Raises:
        ValueError: another number of sources.
    """
    if len(sources) != sources_of(kind):
        raise ValueError(f"{kind} is made of {sources_of(kind)} pictures, not of {len(sources)}")
    scale = size / max(sources[0].size)
    width, height = (max(SMALLEST_SIDE, round(side * scale)) for side in sources[0].size)
    frames = [
        ImageOps.fit(source.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
        for source in sources
    ]
    pixels = torch.stack([torch.from_numpy(np.array(frame)) for frame in frames])
    made = _WAYS[kind](
        pixels.permute(0, 3, 1, 2).float() / 255,
        torch.arange(len(sources))[None],
        torch.Generator().manual_seed(seed),
    )
    values = (made.images[0] * 255).round().byte().permute(1, 2, 0).contiguous()
    return Composed(Image.fromarray(values.numpy()), made.masks[0, 0].numpy())
