"""Heads: from a backbone's descriptor to the unit vectors that are compared."""

from __future__ import annotations

from models.heads.affine import AffineMap, Head, HeadPart
from models.heads.closed_form import Moments, cca, linear_identity, whiten

__all__ = ["AffineMap", "Head", "HeadPart", "Moments", "cca", "linear_identity", "whiten"]
