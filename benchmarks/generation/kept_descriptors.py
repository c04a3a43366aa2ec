"""Descriptors of pictures on the disk, so that a bench computes none of them twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from attribution.evaluation.ranks.methods import PooledDescriber, Rows
from attribution.files import replacing
from models.encoder import Encoder

TOGETHER = 128
"""Descriptors of a file; a run that is killed loses as many at most."""


class KeptDescriptors:
    """Describes pictures by an encoder, or from the disk those of the same pixels.

    Args:
        encoder: whose descriptors, before any head.
        folder: of the files; those of several encoders lie beside each other.
    """

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self._describe = PooledDescriber(encoder)
        self._folder = folder / encoder.model_id
        self._rows: dict[str, Rows] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(self._folder.glob("*.npz")):
            with np.load(file) as held:
                self._rows |= dict(zip(held["names"].tolist(), held["rows"], strict=True))

    @property
    def name(self) -> str:
        """Of the descriptor."""
        return self._describe.name

    def __call__(self, images: Iterable[Image.Image]) -> Rows:
        """`(n, d)` descriptors."""
        names, waiting = [], {}
        for image in images:
            name = hashlib.sha256(str(image.size).encode() + image.tobytes()).hexdigest()[:24]
            names.append(name)
            if name not in self._rows:
                waiting[name] = image
            if len(waiting) >= TOGETHER:
                self._keep(waiting)
        self._keep(waiting)
        if not names:
            return self._describe([])
        return np.stack([self._rows[name] for name in names]).astype(np.float32)

    def _keep(self, waiting: dict[str, Image.Image]) -> None:
        if not waiting:
            return
        rows = self._describe(waiting.values()).astype(np.float16)
        self._rows |= dict(zip(waiting, rows, strict=True))
        file = self._folder / f"{len(self._rows):07d}.npz"
        with replacing(file, aside=file.with_suffix(".tmp")) as opened:
            np.savez(opened, names=np.array(list(waiting)), rows=rows)
        print(f"{len(self._rows)} descriptors", flush=True)
        waiting.clear()
