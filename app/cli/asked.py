"""What a command asks of every image, as options and settings say. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.settings import Guarantee, Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command asks of every image."""

    top_k: int
    alpha: float
    collections: tuple[str, ...]
    guarantee: Guarantee = "average"
    no_source: float | None = None
    recall: float | None = None
    any_way_up: bool = False

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        top_k: int,
        alpha: float | None,
        collections: Sequence[str] | None,
        guarantee: Guarantee | None,
        no_source: float | None = None,
        recall: float | None = None,
        any_way_up: bool = False,
    ) -> Asked:
        """As the command line says; what it does not name, as the settings say."""
        return cls(
            top_k,
            settings.alpha if alpha is None else alpha,
            tuple(sorted(set(collections or ()))),
            guarantee or settings.guarantee,
            no_source,
            recall,
            any_way_up,
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The same as the HTTP API's query."""
        besides = {
            "no_source": self.no_source,
            "recall": self.recall,
            "any_way_up": self.any_way_up or None,
        }
        return {
            "top_k": self.top_k,
            "alpha": self.alpha,
            "guarantee": self.guarantee,
            "collection": self.collections,
            **{name: value for name, value in besides.items() if value is not None},
        }
