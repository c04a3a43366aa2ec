"""What hangs together: rows that share a node, directly or through others. Knows no images."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


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
