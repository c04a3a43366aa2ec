"""A few-shot set of noise, a plan of it, and a generator without weights."""

from __future__ import annotations

import zlib

import numpy as np
from PIL import Image

from attribution.synthesis.context.bank import ContextBank
from attribution.synthesis.context.captioner import Context, Described
from attribution.synthesis.context.plan import plan_images

CLASSES = ("kite", "owl", "wren")


def noise(*key):
    rng = np.random.default_rng([zlib.crc32(repr(key).encode())])
    return Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))


DESCRIBED = tuple(
    Described(f"few/{name}/{shot}.jpg", name, Context(f"ground {shot} of {number}", f"pose {shot}"))
    for number, name in enumerate(CLASSES)
    for shot in range(5)
)
BANK = ContextBank(DESCRIBED, listed=(Context("beach", "lying"),))
PICTURES = {row.image: noise(row.image) for row in DESCRIBED}


def plan(per_class=2, **asked):
    return plan_images(BANK, per_class, model="drawn", **{"descriptor": "bird", **asked})


def each(draw):
    """Draws what is asked for together one by one."""
    return lambda asked: [draw(prompt, seed) for prompt, seed in asked]
