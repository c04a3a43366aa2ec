"""As much of an encoder as an index and answers need: parts of a row, and rows drawn for them."""

from dataclasses import dataclass, field

import numpy as np

from models.parts import Part, consecutive_parts

SPACE_PARTS = consecutive_parts([("structure", 12), ("appearance", 12)])


def rows_of(seed, n, parts=SPACE_PARTS):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, parts[-1].stop)).astype(np.float32)
    for part in parts:
        rows[:, part.columns] /= np.linalg.norm(rows[:, part.columns], axis=1, keepdims=True)
    return rows


@dataclass(frozen=True)
class SmallSpace:
    """As much of an encoder as answering needs."""

    model_id: str = "small"
    dimension: int = 24
    parts: tuple[Part, ...] = SPACE_PARTS
    reference: np.ndarray = field(default_factory=lambda: rows_of(99, 200))
    views: int = 1
    fusion: str = "max-standardised"

    @property
    def reference_queries(self) -> np.ndarray:
        return self.reference

    def as_queries(self, rows: np.ndarray) -> np.ndarray:
        return rows

    def query_rows(self, seed: int, n: int) -> np.ndarray:
        """`(n, views * 24)` rows, every view drawn on its own."""
        drawn = [rows_of(seed + 7_000 * view, n, self.parts) for view in range(self.views)]
        return np.concatenate(drawn, axis=1)
