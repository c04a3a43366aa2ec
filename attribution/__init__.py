"""Vectors to answers: catalog, index, calibration and attribution. Knows no HTTP.

In Python: `attribution.Gallery.open("data")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attribution.answer import Attribution, RankedSource
    from attribution.gallery import Gallery

__all__ = ["Attribution", "Gallery", "RankedSource"]
_HOME = {
    "Attribution": "attribution.answer",
    "Gallery": "attribution.gallery",
    "RankedSource": "attribution.answer",
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is: an encoder takes seconds, and this package none."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
