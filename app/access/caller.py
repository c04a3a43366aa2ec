"""Who sends a request, and what that caller may do and see; knows no route and no table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope

from app.problems.problem import Problem
from attribution import catalog
from attribution.catalog import SCOPES, CollectionNotFound, Key

_STATE_KEY = "caller"


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a key, or a program of this machine where there are no keys.

    Attributes:
        key_id: None where there are no keys.
        scopes: what the caller may do, `admin` spelt out.
        collections: what the caller may see and change; None for all.
    """

    key_id: str | None
    scopes: frozenset[catalog.Scope]
    collections: frozenset[str] | None

    @classmethod
    def of(cls, key: Key) -> Caller:
        """The bearer of a key."""
        scopes = frozenset(SCOPES) if "admin" in key.scopes else key.scopes
        return cls(key.key_id, scopes, key.collections)

    def require(self, name: str) -> None:
        """Refuse a collection out of reach in the words for one that does not exist.

        Raises:
            CollectionNotFound: whether there is such a collection or not.
        """
        if self.collections is not None and name not in self.collections:
            raise CollectionNotFound(name)

    def require_whole(self) -> None:
        """Refuse what concerns the whole catalog to a caller limited to some of it.

        Raises:
            Problem: 403 `forbidden`.
        """
        if self.collections is not None:
            raise Problem(
                "forbidden",
                "This key is limited to collections, and this concerns the whole catalog.",
            )

    def searched(self, asked: Iterable[str]) -> frozenset[str] | None:
        """What to search: the collections asked for, or all within reach (None: all there are).

        Raises:
            CollectionNotFound: one of those asked for is out of reach.
        """
        names = frozenset(asked)
        for name in sorted(names):
            self.require(name)
        return names or self.collections

    def listed(self, asked: Iterable[str]) -> frozenset[str] | None:
        """What to list: as `searched`, but what is out of reach holds nothing, as if unknown."""
        names = frozenset(asked)
        if self.collections is None:
            return names or None
        return names & self.collections if names else self.collections


LOCAL = Caller(None, frozenset(SCOPES), None)
"""A program of this machine, where there are no keys."""
NOBODY = Caller(None, frozenset(), frozenset())
"""Who asks for what everybody may see."""


def assign_caller(scope: Scope, caller: Caller) -> None:
    """Say who sends this request; the routes below read it with `caller_of`."""
    scope.setdefault("state", {})[_STATE_KEY] = caller


def caller_of(request: Request) -> Caller:
    """Who sends this request; nobody, where nothing has said who."""
    caller: Caller = request.scope.get("state", {}).get(_STATE_KEY, NOBODY)
    return caller


CallerDependency = Annotated[Caller, Depends(caller_of)]
