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
NEAREST = 10  # neighbours in the bank that say how much of a hub a row is


class AffineMap(nn.Module):
    """`x -> (x[columns] - mean) @ weight`, scaled to unit length.

    Args:
        mean: `(c,)`.
        weight: `(c, k)`.
        columns: `(c,)` columns of the descriptor that it reads, all of them by default.
    """

    mean: Tensor
    weight: Tensor
    columns: Tensor | None

    def __init__(self, mean: Tensor, weight: Tensor, columns: Tensor | None = None) -> None:
        super().__init__()
        if weight.ndim != 2 or mean.shape != weight.shape[:1]:
            raise ValueError(
                f"mean {tuple(mean.shape)} and weight {tuple(weight.shape)} do not fit: "
                "expected (c,) and (c, k)"
            )
        if columns is not None and columns.shape != mean.shape:
            raise ValueError(f"{len(columns)} columns chosen for a map of {len(mean)}")
        self.register_buffer("mean", mean)
        # Each column in one piece, which a product with few rows reads in half the time.
        self.register_buffer("weight", weight.T.contiguous().T)
        self.register_buffer("columns", columns)

    def forward(self, descriptors: Tensor) -> Tensor:
        """`(n, d)` descriptors to `(n, k)` unit rows."""
        read = descriptors if self.columns is None else descriptors[:, self.columns]
        return functional.normalize((read - self.mean) @ self.weight, dim=1)


@dataclass(frozen=True, slots=True)
class HeadPart:
    """One part's maps; a separate map for queries where the two domains differ."""

    name: str
    source: AffineMap
    query: AffineMap | None = None


class Head(nn.Module):
    r"""Joins the parts side by side; without any part it only normalises (head `none`).

    With `hubness` :math:`\beta > 0` a source that resembles everything is scored lower: its
    cosine with any query is reduced by :math:`\beta` times the mean of its `NEAREST` largest
    cosines with a bank of unrelated rows (as CSLS, Conneau et al., ICLR 2018, with a fixed bank in
    place of the queries). That is an inner product again, so a part gets one column more: a
    constant in a query, the correction in a source; any index ranks by it without knowing.

    Args:
        dimension: columns of a descriptor.
        parts: the maps.
        hubness: :math:`\beta`.
        bank: `(m, k)` rows of all parts side by side, of images outside any gallery; needed for
            the correction.
    """

    bank: Tensor

    def __init__(
        self,
        dimension: int,
        parts: Sequence[HeadPart] = (),
        *,
        hubness: float = 0.0,
        bank: Tensor | None = None,
    ) -> None:
        super().__init__()
        if hubness > 0 and (not parts or bank is None or len(bank) <= NEAREST):
            raise ValueError(
                f"the hubness correction needs parts and a bank of more than {NEAREST} rows"
            )
        self.source = nn.ModuleDict({part.name: part.source for part in parts})
        self.query = nn.ModuleDict(
            {part.name: part.query for part in parts if part.query is not None}
        )
        self.hubness = hubness
        self._widths = [part.source.weight.shape[1] for part in parts]
        extra = 1 if hubness > 0 else 0
        names = [part.name for part in parts]
        widths = [width + extra for width in self._widths]
        self.parts: tuple[Part, ...] = consecutive_parts(
            list(zip(names, widths, strict=True)) or [("whole", dimension)]
        )
        if bank is not None and hubness > 0:
            self.register_buffer("bank", bank)

    @property
    def dimension(self) -> int:
        """Columns of a row."""
        return self.parts[-1].stop

    def forward(self, descriptors: Tensor, domain: Domain = "source") -> Tensor:
        """`(n, d)` descriptors to `(n, dimension)` rows.

        Each part has unit length, not counting the column of the hubness correction.
        """
        if not self.source:
            return functional.normalize(descriptors, dim=1)
        maps = [
            self.query[name] if domain == "query" and name in self.query else source
            for name, source in self.source.items()
        ]
        rows = [each(descriptors) for each in maps]
        if self.hubness == 0:
            return torch.cat(rows, dim=1)
        if domain == "query":
            return as_queries(rows)
        banks = torch.split(self.bank, self._widths, dim=1)
        return self._corrected([(row, row @ bank.T) for row, bank in zip(rows, banks, strict=True)])

    def corrected_bank(self) -> Tensor:
        """`(m, dimension)` rows of the bank as sources, each without itself as a neighbour."""
        cosines = []
        for bank in torch.split(self.bank, self._widths, dim=1):
            among = bank @ bank.T
            cosines.append((bank, among.fill_diagonal_(-torch.inf)))
        return self._corrected(cosines)

    def bank_as_queries(self) -> Tensor:
        """`(m, dimension)` rows of the bank as queries."""
        return as_queries(torch.split(self.bank, self._widths, dim=1))

    def _corrected(self, parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        joined = []
        for rows, cosines in parts:
            nearest = cosines.topk(NEAREST, dim=1).values.mean(dim=1)
            joined.append(
                _with_column(rows, -self.hubness * nearest / query_constant(rows.shape[1]))
            )
        return torch.cat(joined, dim=1)


def as_queries(parts: Sequence[Tensor]) -> Tensor:
    """Rows of all parts side by side, each with a query's extra entry."""
    constants = [rows.new_full((len(rows),), query_constant(rows.shape[1])) for rows in parts]
    return torch.cat(list(map(_with_column, parts, constants)), dim=1)


def _with_column(rows: Tensor, column: Tensor) -> Tensor:
    return torch.cat([rows, column[:, None]], dim=1)


def query_constant(width: int) -> float:
    """A query's extra entry: as large as the others, for rows are stored with one scale each."""
    return float(width**-0.5)
