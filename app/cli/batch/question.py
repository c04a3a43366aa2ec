"""What `attribution batch` asks of every image, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class BatchQuestion:
    """What is asked; `alpha` None is what the settings or the service say."""

    top_k: int
    collections: tuple[str, ...]
    alpha: float | None

    def parameters(self) -> dict[str, Any]:
        """As query parameters of the HTTP API."""
        parameters: dict[str, Any] = {"top_k": self.top_k, "collection": list(self.collections)}
        return parameters if self.alpha is None else parameters | {"alpha": self.alpha}


Answers = Iterator[tuple[Path, dict[str, Any] | None]]
"""Each image with its `attribution` or `problem`; None where its file could not be read."""
