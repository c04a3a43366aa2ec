"""Every head is a set of affine maps onto the unit sphere; how they were fitted is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.parts import Part, consecutive_parts

Domain = Literal["query", "source"]


class AffineMap(nn.Module):
    """`x -> (x - mean) @ weight`, scaled to unit length.

    Args:
        mean: `(d,)`.
        weight: `(d, k)`.
    """

    mean: Tensor
    weight: Tensor

    def __init__(self, mean: Tensor, weight: Tensor) -> None:
        super().__init__()
        if weight.ndim != 2 or mean.shape != weight.shape[:1]:
            raise ValueError(
                f"mean {tuple(mean.shape)} and weight {tuple(weight.shape)} do not fit: "
                "expected (d,) and (d, k)"
            )
        self.register_buffer("mean", mean)
        self.register_buffer("weight", weight)

    def forward(self, descriptors: Tensor) -> Tensor:
        """`(n, d)` descriptors to `(n, k)` unit rows."""
        return functional.normalize((descriptors - self.mean) @ self.weight, dim=1)


@dataclass(frozen=True, slots=True)
class HeadPart:
    """One part's maps; a separate map for queries where the two domains differ."""

    name: str
    source: AffineMap
    query: AffineMap | None = None


class Head(nn.Module):
    """Joins the parts side by side; without any part it only normalises (head `none`)."""

    def __init__(self, dimension: int, parts: Sequence[HeadPart] = ()) -> None:
        super().__init__()
        self.source = nn.ModuleDict({part.name: part.source for part in parts})
        self.query = nn.ModuleDict(
            {part.name: part.query for part in parts if part.query is not None}
        )
        widths = [(part.name, part.source.weight.shape[1]) for part in parts]
        self.parts: tuple[Part, ...] = consecutive_parts(widths or [("whole", dimension)])

    @property
    def dimension(self) -> int:
        """Columns of a row."""
        return self.parts[-1].stop

    def forward(self, descriptors: Tensor, domain: Domain = "source") -> Tensor:
        """`(n, d)` descriptors to `(n, dimension)` rows, each part of unit length."""
        if not self.source:
            return functional.normalize(descriptors, dim=1)
        maps = [
            self.query[name] if domain == "query" and name in self.query else source
            for name, source in self.source.items()
        ]
        return torch.cat([each(descriptors) for each in maps], dim=1)
