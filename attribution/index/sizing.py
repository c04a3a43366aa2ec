"""When a base needs a search structure, which one, and when it is rebuilt. Numbers, no arrays.

Why these numbers, each to be seen again with `benchmarks/index_recall.py`:

- Scanning is exact, needs no building and no second copy of the rows. All parts of 200,000 rows of
  the bundled encoder (1,283 floats) are compared with 16 queries in a fifth of the time that IVF
  takes to find .99 of the ten best.
- HNSW (Malkov and Yashunin, TPAMI 2020) finds 2 % of the ten best of these rows: a source's
  correction for hubs is a column of up to seven beside a row of unit length, and a graph by inner
  product leads to the rows where it is large. So no size asks for it; rows without such a column
  may (`hnsw_below`).
- IVF (Jégou et al., TPAMI 2011) keeps one byte a float, and takes over where scanning would read
  more than memory gives in a tenth of a second. Its recall leans on queries being like the rows.

Codes only propose candidates: the scores returned are always those of the float32 rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Literal

Kind = Literal["flat", "hnsw", "ivf"]


@dataclass(frozen=True, slots=True)
class Sizing:
    """The thresholds of an index, in rows or shares of them.

    Attributes:
        flat_below: a base smaller than this is scanned; a filtered set always is.
        hnsw_below: a base smaller than this, and not scanned, is an HNSW graph; others are IVF.
        tail_rows: the tail may always hold this many rows.
        tail_share: beyond `tail_rows`, the tail may hold this share of the base.
        removed_share: the share of all rows that may be dead.
        recall: what the search effort is raised for, until measured or until it stops paying.
    """

    flat_below: int = 500_000
    hnsw_below: int = 500_000
    tail_rows: int = 4096
    tail_share: float = 0.2
    removed_share: float = 0.2
    recall: float = 0.99

    def kind(self, rows: int) -> Kind:
        """The structure of a base of this many rows."""
        if self.scans(rows):
            return "flat"
        return "hnsw" if rows < self.hnsw_below else "ivf"

    def scans(self, rows: int) -> bool:
        """Whether a set of this many rows is compared one by one."""
        return rows < self.flat_below

    def compaction_due(self, *, base: int, tail: int, removed: int) -> bool:
        """Whether the next base should be built (`removed` counts dead rows of both)."""
        # A few dead rows in a small index cost a search nothing; a rebuild for them would.
        dead = removed > max(self.tail_rows // 4, self.removed_share * (base + tail))
        return dead or tail > max(self.tail_rows, self.tail_share * base)


DEFAULT_SIZING = Sizing()


def factory(kind: Kind, rows: int) -> str:
    """FAISS's name for the structure: fp16 graph nodes, or 8-bit codes in about 4 sqrt(n) lists."""
    if kind == "flat":
        raise ValueError("a flat base is scanned; it has no structure to build")
    if kind == "hnsw":
        return "HNSW32,SQfp16"
    # 39 training rows a list is what FAISS's k-means asks for.
    return f"IVF{max(1, min(4 * isqrt(rows), rows // 39))},SQ8"


def fetched(k: int) -> int:
    """Candidates to take from codes for k exact hits: coding may swap neighbours near the k-th."""
    return 2 * k + 32
