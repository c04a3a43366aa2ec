"""Pixels to vectors: decoding, preprocessing, backbones and heads. Knows no source, no HTTP."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.encoder import Encoder
    from models.loading import load_encoder

__all__ = ["Encoder", "load_encoder"]

_HOMES = {"Encoder": "models.encoder", "load_encoder": "models.loading"}


def __getattr__(name: str) -> object:
    """Import torch only for those who ask for an encoder: decoding an image needs none of it."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
