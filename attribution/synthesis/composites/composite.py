"""What every way of composing returns: the composites, the masks, and who is in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Generator, Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Composites:
    """Composites and their provenance, row by row.

    Attributes:
        images: `(n, c, ...)`: pictures `(n, 3, h, w)` in [0, 1], skeletons `(n, c, p, f, e)`.
        masks: `(n, 1, ...)` float32 in [0, 1], the share that the first source has in each place:
            1 where the place is the first source's, 0 where it is the second's, or edited.
        sources: `(n, 2)` rows of the batch that they were made of, first and second; `(n, 1)`
            where one picture was edited and the rest comes from nobody.
    """

    images: Tensor
    masks: Tensor
    sources: Tensor

    def __len__(self) -> int:
        return len(self.images)


Compose = Callable[[Tensor, Tensor, Generator], Composites]
"""From a batch `(n, 3, h, w)` in [0, 1] and the rows `(m, 2)` or `(m, 1)` of it that each
composite is made of, to `m` composites. Everything random comes from the generator, which lies on
the device of the batch."""


def pair_of(images: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
    """First and second image of each composite.

    Raises:
        ValueError: not two sources each.
    """
    if sources.ndim != 2 or sources.shape[1] != 2:
        raise ValueError(f"a mix has two sources, so (m, 2) rows, not {tuple(sources.shape)}")
    return images[sources[:, 0]], images[sources[:, 1]]
