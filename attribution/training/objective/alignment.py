"""What a step asks of the way in which views are drawn together, whichever it is.

Three projections of the descriptor are compared: `semantics` (pooled last stage), `structure`
(the layout grid) and `appearance` (statistics of the earlier stages). A mixed view must find both
its sources in the first, only its structure source in the second and only its appearance source
in the third, each against all other images. A network whose embedding does not tell them apart has
`semantics` alone. On several processes all terms are of the whole, gathered batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from attribution.training.objective.pairing import Views
from models.backbones.features import Backbone

Describe = Callable[[Backbone, Tensor], Tensor]
"""From a network and views to float32 descriptors."""


class Alignment(nn.Module, ABC):
    """The terms that draw views together, and what learns or follows along with the network.

    Made of the network that learns, which a teacher is a copy of, the columns of its descriptor by
    projection, and the recipe.
    """

    @abstractmethod
    def forward(
        self,
        pooled: Tensor,
        views: Views,
        describe: Describe,
        step: int,
        local: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The terms of a step, unweighted.

        Args:
            pooled: `(2n, d)` or `(2n + n/2, d)` descriptors of mild, strong and mixed views.
            views: of this process, for a teacher to see.
            describe: how to apply a teacher's network to them.
            step: from 0.
            local: `(n, k, d)` descriptors of the local crops, for alignments that have such.
        """

    @abstractmethod
    def after_update(self, net: Backbone, step: int) -> None:
        """Called after the optimiser's step, when a teacher follows."""
