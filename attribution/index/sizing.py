"""When a base needs a search structure, and when it is rebuilt. Numbers, no arrays.

Why these numbers, each to be seen again with `benchmarks/search_at_size.py`:

- Comparing all rows is exact, needs no building and no second copy of the rows.
- From about 50,000 rows of the bundled encoder (1,283 floats) short codes that propose rows, of
  which the best are compared exactly, take a fraction of the time for a query that comes alone,
  and no more for sixteen that come together.
- Graphs and lists lost to comparing all rows (docs/decisions.md): HNSW found 2 % of the ten best,
  IVF took five times as long.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizing:
    """The thresholds of an index, in rows or shares of them.

    Attributes:
        flat_below: a base smaller than this is scanned; a filtered set always is.
        fewest: rows that a structure proposes for each part of each view of a query, at least.
        tail_rows: the tail may always hold this many rows.
        tail_share: beyond `tail_rows`, the tail may hold this share of the base.
        removed_share: the share of all rows that may be dead.
        recall: a structure that proposes less of the ten nearest in any part is not used. Parts are
            proposed for apart and joined: .91 in the worst of three went with .997 of the ten best.
    """

    flat_below: int = 50_000
    fewest: int = 1024
    tail_rows: int = 4096
    tail_share: float = 0.2
    removed_share: float = 0.2
    recall: float = 0.8

    def scans(self, rows: int) -> bool:
        """Whether a set of this many rows is compared one by one."""
        return rows < self.flat_below

    def nominated(self, k: int) -> int:
        """Rows that a structure proposes where k are wanted."""
        return max(self.fewest, 6 * k)

    def compaction_due(self, *, base: int, tail: int, removed: int) -> bool:
        """Whether the next base should be built (`removed` counts dead rows of both)."""
        # A few dead rows in a small index cost a search nothing; a rebuild for them would.
        dead = removed > max(self.tail_rows // 4, self.removed_share * (base + tail))
        return dead or tail > max(self.tail_rows, self.tail_share * base)


DEFAULT_SIZING = Sizing()
