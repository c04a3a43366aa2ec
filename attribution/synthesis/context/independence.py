"""Are two labels independent? A permutation test; knows no picture and no plan.

The plug-in estimate of mutual information is biased upwards where cells are few, so that it is
never reported alone: it is compared with itself under permutations, which have the same bias.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 999


@dataclass(frozen=True, slots=True)
class Independence:
    """What the test found.

    Attributes:
        information: plug-in mutual information of the two labels, in nats.
        expected: its mean under permutation, which is its bias where they are independent.
        p_value: of independence; at least `1 / (permutations + 1)`.
    """

    information: float
    expected: float
    p_value: float


def independence(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Independence:
    """Test whether two labels of the same things are independent.

    The p-value is `(1 + b) / (1 + m)` with `b` of `m` random permutations of the second labels
    whose information is at least that of the data (Phipson and Smyth, 2010); exact whatever the
    cells hold.

    Args:
        first: `n` labels.
        second: `n` labels.
        permutations: `m`.
        seed: of the permutations.

    Raises:
        ValueError: none, or not as many of one as of the other.
    """
    if not first or len(first) != len(second):
        raise ValueError(f"as many labels of one kind as of the other: {len(first)}, {len(second)}")
    rows, columns = _coded(first), _coded(second)
    own = _information(rows, columns)
    rng = np.random.default_rng(seed)
    others = np.array([_information(rows, rng.permutation(columns)) for _ in range(permutations)])
    # Equal tables may differ in their last bit by the order of summation.
    reached = int((others >= own - 1e-9).sum())
    expected = float(others.mean()) if permutations else own
    return Independence(own, expected, (1 + reached) / (1 + permutations))


def _coded(labels: Sequence[Hashable]) -> NDArray[np.int64]:
    places = {label: place for place, label in enumerate(dict.fromkeys(labels))}
    return np.array([places[label] for label in labels], np.int64)


def _information(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> float:
    """`sum p(a, b) log( p(a, b) / p(a) p(b) )` of the frequencies."""
    width, count = int(columns.max()) + 1, len(rows)
    cells = np.bincount(rows * width + columns)
    together = cells[cells > 0]
    entropy = (
        np.log(count) - (each * np.log(each)).sum() / count for each in _counts(rows, columns)
    )
    joint = float(np.log(count) - (together * np.log(together)).sum() / count)
    return max(0.0, float(sum(entropy)) - joint)


def _counts(*labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [counts[counts > 0] for counts in map(np.bincount, labels)]
