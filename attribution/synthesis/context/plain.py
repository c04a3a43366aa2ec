"""A captioner without weights: colours and textures of the background, placement of the subject.

It knows no objects, so that it cannot name a class; nor can it say "runway". The same pixels have
the same words on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attribution.synthesis.context.captioner import Context
from attribution.synthesis.context.colours import Floats, lab, name_of
from attribution.synthesis.context.subject import Placement, placement, subject_mask

_SIDE = 96  # pixels of the long side that is looked at
# Mean differences of lightness between neighbours, in CIELAB units, up to smooth and up to fine.
_SMOOTH, _FINE = 1.0, 5.0
# Differences in one direction that are so many times those in the other make stripes.
_STRIPES = 2.5
_SMALL, _LARGE = 0.08, 0.3  # shares of the picture
_ELONGATED = 1.4
_DARK, _LIGHT = 33.0, 72.0
_TINTED = frozenset({"grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"})


class PlainCaptioner:
    """Says colours, textures and layout; position, scale and orientation."""

    name = "plain"

    def describe(self, image: Image.Image) -> Context:
        """The context of a picture, in words such as "smooth blue above, busy green below"."""
        small = image.convert("RGB")
        small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
        if min(small.size) < 8:
            small = small.resize((max(8, small.width), max(8, small.height)), Image.Resampling.BOX)
        colours = lab(np.asarray(small))
        mask = subject_mask(colours)
        return Context(_background(colours, ~mask), _pose(placement(mask)))


def _background(colours: Floats, ground: NDArray[np.bool_]) -> str:
    """What the upper and the lower half show around the subject; once where they are alike."""
    half = len(colours) // 2
    parts = [_part(colours[rows], ground[rows]) for rows in (slice(None, half), slice(half, None))]
    above, below = (part or next(filter(None, parts), "plain") for part in parts)
    return above if above == below else f"{above} above, {below} below"


def _part(colours: Floats, ground: NDArray[np.bool_]) -> str:
    seen = colours[ground]
    if not len(seen):
        return ""
    name = name_of(seen)
    lightness = float(np.median(seen[:, 0]))
    shade = ""
    if name in _TINTED:
        shade = "dark " if lightness < _DARK else "light " if lightness > _LIGHT else ""
    return f"{_texture(colours[..., 0], ground)} {shade}{name}"


def _texture(lightness: Floats, ground: NDArray[np.bool_]) -> str:
    """How much neighbours that are both ground differ in lightness, and in which direction."""
    across = np.abs(np.diff(lightness, axis=1))[ground[:, 1:] & ground[:, :-1]]
    down = np.abs(np.diff(lightness, axis=0))[ground[1:] & ground[:-1]]
    horizontal = float(across.mean()) if across.size else 0.0
    vertical = float(down.mean()) if down.size else 0.0
    if max(horizontal, vertical) < _SMOOTH:
        return "smooth"
    if horizontal > _STRIPES * vertical:
        return "vertically striped"
    if vertical > _STRIPES * horizontal:
        return "horizontally striped"
    return "fine" if (horizontal + vertical) / 2 < _FINE else "busy"


def _pose(where: Placement) -> str:
    size = "small" if where.share < _SMALL else "large" if where.share > _LARGE else "medium-sized"
    return f"{size}, {_position(where)}, {_stance(where)}"


def _position(where: Placement) -> str:
    down = "upper " if where.down < 0.4 else "lower " if where.down > 0.6 else ""
    across = "left" if where.across < 0.4 else "right" if where.across > 0.6 else ""
    if down and across:
        return f"in the {down}{across}"
    if down:
        return f"in the {down}middle"
    return f"on the {across}" if across else "in the middle"


def _stance(where: Placement) -> str:
    if where.elongation < _ELONGATED:
        return "compact"
    if where.angle < 22.5 or where.angle >= 157.5:
        return "lying"
    if where.angle < 67.5:
        return "rising to the right"
    return "upright" if where.angle < 112.5 else "rising to the left"
