"""What every index asks of its parts and of what is searched for; pure functions over arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attribution.index.protocol import Vectors
from models.parts import Part


def check_parts(parts: Sequence[Part], dimension: int) -> None:
    """Make sure that parts can be searched one by one and make a whole row together.

    Raises:
        ValueError: no parts, parts that do not fill the row side by side, or two of one name.
    """
    if not parts or len({part.name for part in parts}) != len(parts):
        raise ValueError("an index needs at least one part, each of its own name")
    filled = 0
    for part in parts:
        if not filled == part.start < part.stop <= dimension:
            raise ValueError(
                f"part {part.name!r} is columns {part.start}:{part.stop} of a row of {dimension}, "
                f"where the part before ends at {filled}: parts must fill a row side by side"
            )
        filled = part.stop
    if filled != dimension:
        raise ValueError(f"the parts fill {filled} columns of a row of {dimension}, not all")


def part_named(parts: Sequence[Part], name: str | None) -> Part:
    """The part that is meant; ValueError where that is unclear."""
    names = ", ".join(part.name for part in parts)
    if name is None:
        if len(parts) > 1:
            raise ValueError(f"this encoder has several parts: name one of {names}")
        return parts[0]
    for part in parts:
        if part.name == name:
            return part
    raise ValueError(f"there is no part {name!r}: name one of {names}")


def slices_asked(queries: Vectors, dimension: int, part: Part, k: int) -> Vectors:
    """`(n, d')` of a part in one piece, of `(n, d)` whole rows that k hits are wanted of.

    Raises:
        ValueError: wrong shape, not finite, or k below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}: ask for at least one hit")
    rows = np.asarray(queries, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise ValueError(f"queries must be (n, {dimension}) whole rows, not {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("queries hold NaN or infinity: encode the images again")
    return np.ascontiguousarray(rows[:, part.columns])


def check_change(vectors: Vectors, dimension: int, *, present: int, wanted: int) -> None:
    """Make sure that a batch can follow: its vectors, and the generation that it leads to.

    Raises:
        ValueError: vectors of another dimension, or a generation that goes back.
    """
    if len(vectors) and vectors.shape[1] != dimension:
        raise ValueError(
            f"the index holds vectors of {dimension} floats, "
            f"not {vectors.shape[1]}: another encoder made these"
        )
    if wanted < present:
        raise ValueError(f"the index stands at generation {present}; it cannot go back to {wanted}")
