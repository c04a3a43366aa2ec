"""A gallery in Python: add pictures, ask which of them an image came from, look at the answers."""

from __future__ import annotations

from attribution.gallery.gallery import Gallery
from attribution.gallery.sheet import Explained, Sheet

__all__ = ["Explained", "Gallery", "Sheet"]
