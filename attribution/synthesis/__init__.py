"""Synthetic images whose sources are known; only `diffusion` needs weights and an extra.

For training, calibration, evaluation and the demo; the serving path never imports it.
"""

from __future__ import annotations

from attribution.synthesis.collage import Collage, collage
from attribution.synthesis.dataset import generate
from attribution.synthesis.patches import from_one, from_two
from attribution.synthesis.photographs import Photograph, bundled_photographs

__all__ = [
    "Collage",
    "Photograph",
    "bundled_photographs",
    "collage",
    "from_one",
    "from_two",
    "generate",
]
