"""What somebody keeps beside an index snapshot: named arrays, as sound as the snapshot itself.

It must not know what they mean. The index that they belong to is loaded without them where they
are damaged: whoever made them makes them anew.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PREFIX = "beside-"

Owner = Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True, eq=False)
class Companion:
    """Arrays made from an index.

    Attributes:
        owner: what they were made by; to another owner they are as good as absent.
        generation: the last change that they reflect. Nothing of what was removed up to there may
            be in them.
        arrays: by name.
    """

    owner: Owner
    generation: int
    arrays: Mapping[str, NDArray[Any]]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def write(self, folder: Path) -> None:
        """Write the arrays into the folder of a snapshot that is being made."""
        for name, array in self.arrays.items():
            np.save(_file(folder, name), array, allow_pickle=False)

    def described(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {
            "owner": dict(self.owner),
            "generation": self.generation,
            "arrays": sorted(self.arrays),
        }

    @classmethod
    def read(cls, folder: Path, described: Mapping[str, Any]) -> Companion:
        """Read what a manifest describes, once its files have been checked.

        Raises:
            OSError, ValueError: it cannot be read.
        """
        arrays = {
            name: np.load(_file(folder, name), allow_pickle=False) for name in described["arrays"]
        }
        return cls(described["owner"], described["generation"], arrays)


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as bytes, the same to the last bit everywhere: for a database, which has no files."""
    into, known = io.BytesIO(), dict[str, Any](arrays)
    np.savez(into, allow_pickle=False, **known)
    return into.getvalue()


def unpacked(data: bytes) -> dict[str, NDArray[Any]]:
    """What `packed` packed.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays}


def is_beside(name: str) -> bool:
    """Whether a file of a snapshot is a companion's."""
    return name.startswith(_PREFIX)


def _file(folder: Path, name: str) -> Path:
    return folder / f"{_PREFIX}{name}.npy"
