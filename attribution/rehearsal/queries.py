"""Plans and makes synthetic queries from given pictures. Knows pictures and seeds, no catalog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from attribution.synthesis import collage, from_one, from_two
from attribution.synthesis.laundering import launder

Kind = Literal["one", "two", "collage"]
KINDS: tuple[Kind, ...] = ("one", "two", "one", "collage")
REHEARSED = (
    "synthetic queries made from the patches of one source or two, and collages; half of them "
    "cropped, mirrored, recoloured and compressed"
)
"""The kinds in words."""
FOLDS = 2
SIZE = 128  # long side in pixels; the cost grows with its square
_LARGEST_SEED = 2**31


@dataclass(frozen=True, slots=True)
class Plan:
    """One query to be made.

    Attributes:
        kind: `one` rearranges the patches of a source, `two` renders one source with the patches
            of another, `collage` shows both side by side.
        sources: places of its sources in the list that was planned for.
        fold: sources of one fold make no query of the other, so that a fit on one fold can be
            judged on the other.
        laundered: whether the query is re-encoded, cropped, mirrored and recoloured, as queries
            often are.
        seed: of everything random.
    """

    kind: Kind
    sources: tuple[int, ...]
    fold: int
    laundered: bool
    seed: int


def plan_queries(sources: int, queries: int, *, seed: int) -> tuple[Plan, ...]:
    """Plan `queries` queries of `sources` sources: half of one source, half laundered.

    Every source of a fold comes first in one query before any does in two.

    Raises:
        ValueError: fewer than two sources a fold.
    """
    if sources < 2 * FOLDS:
        raise ValueError(f"{2 * FOLDS} sources or more are needed, not {sources}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(sources)
    folds = [order[fold::FOLDS] for fold in range(FOLDS)]
    turns = [_in_turns(members, rng) for members in folds]
    plans = []
    for number in range(queries):
        fold = number % FOLDS
        kind = KINDS[number // FOLDS % len(KINDS)]
        first = next(turns[fold])
        chosen = (first,) if kind == "one" else (first, _another(folds[fold], first, rng))
        laundered = bool(number // (FOLDS * len(KINDS)) % 2)
        plans.append(Plan(kind, chosen, fold, laundered, int(rng.integers(_LARGEST_SEED))))
    return tuple(plans)


def make_query(plan: Plan, pictures: Sequence[Image.Image], *, size: int = SIZE) -> Image.Image:
    """Make the planned query, RGB.

    Args:
        plan: what to make.
        pictures: one for each of `plan.sources`.
        size: long side in pixels, before laundering.
    """
    if plan.kind == "one":
        image = from_one(pictures[0], seed=plan.seed, size=size)
    elif plan.kind == "two":
        image = from_two(pictures[0], pictures[1], seed=plan.seed, size=size)
    else:
        image = collage(pictures[0], pictures[1], mask_seed=plan.seed, size=size).image
    return launder(image, seed=plan.seed) if plan.laundered else image


def _in_turns(members: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(members).tolist()


def _another(members: np.ndarray, first: int, rng: np.random.Generator) -> int:
    others = members[members != first]
    return int(others[rng.integers(len(others))])
