"""Queries that hang together by their sources, and folds that share none. Knows no image."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Node = TypeVar("Node", bound=Hashable)
Truth = Sequence[tuple[int, ...]]
"""Columns of each query's true sources."""
Labels = NDArray[np.int64]

LEAST_GROUPS = 4  # one to score, one to stop on, two to contrast


class TooFewGroups(ValueError):
    """The labelled queries hang together too closely to be split by source."""


def leaders(rows: Iterable[Sequence[Node]]) -> list[Node | None]:
    """One node for each row, the same for rows that are joined; None for a row without nodes."""
    listed = list(rows)
    parent: dict[Node, Node] = {}

    def find(node: Node) -> Node:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for nodes in listed:
        for node in nodes[1:]:
            parent[find(node)] = find(nodes[0])
    return [find(nodes[0]) if nodes else None for nodes in listed]


def source_groups(truth: Truth) -> Labels:
    """Group of each query: queries that share a source, directly or through others, share it."""
    found = leaders(truth)
    named = [-1 - row if leader is None else leader for row, leader in enumerate(found)]
    return np.unique(np.array(named, np.int64), return_inverse=True)[1].reshape(-1)


def require_groups(truth: Sequence[Sequence[Hashable]]) -> int:
    """How many groups of queries have labels, by their true sources however these are named.

    Raises:
        TooFewGroups: fewer than four.
    """
    labelled = len(set(leaders(truth)) - {None})
    if labelled < LEAST_GROUPS:
        raise TooFewGroups(
            f"the labelled queries form {labelled} groups without a source in common, but a "
            f"supervised baseline needs {LEAST_GROUPS}: leave it out, or add cases of other sources"
        )
    return labelled


def folds_of(truth: Truth, folds: int, seed: int) -> Labels:
    """Fold of each query: whole groups, with about as many labelled pairs in each fold.

    Raises:
        TooFewGroups: fewer than four groups have labels.
    """
    labelled = require_groups(truth)
    groups = source_groups(truth)
    pairs = np.bincount(groups, weights=[len(columns) for columns in truth])
    order = np.random.default_rng(seed).permutation(len(pairs))
    load = np.zeros(min(folds, labelled))
    fold_of_group = np.zeros(len(pairs), np.int64)
    for group in order[np.argsort(-pairs[order], kind="stable")]:
        fold_of_group[group] = load.argmin()
        load[fold_of_group[group]] += pairs[group]
    return fold_of_group[groups]
