"""Projection heads that a loss sees and that are thrown away after training."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

HIDDEN = 512

Columns = Mapping[str, slice]
"""Columns of the descriptor that each projection sees."""


class Projector(nn.Sequential):
    """Two-layer projection that contrastive terms compare (Chen et al., ICML 2020)."""

    def __init__(self, columns: int, hidden: int, out: int) -> None:
        super().__init__(
            nn.Linear(columns, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, out, bias=False),
        )


class Projectors(nn.ModuleDict):
    """A projector for each slice of the descriptor, by name.

    Args:
        columns: the slices.
        out: columns of each projection.
    """

    def __init__(self, columns: Columns, out: int) -> None:
        widths = {name: part.stop - part.start for name, part in columns.items()}
        super().__init__({name: Projector(width, HIDDEN, out) for name, width in widths.items()})
        self.columns = columns

    def forward(self, descriptors: Tensor) -> dict[str, Tensor]:
        """`(n, d)` descriptors to `(n, out)` unit rows, by name."""
        return {
            name: functional.normalize(projector(descriptors[:, self.columns[name]]), dim=1)
            for name, projector in self.items()
        }


class PrototypeHead(nn.Module):
    r"""DINO's head: logits of prototypes from a three-layer perceptron.

    .. math:: \mathrm{logit}_k = \frac{w_k^\top}{\lVert w_k \rVert}
              \frac{h(x)}{\lVert h(x) \rVert}

    The last layer is weight-normalised with its gain fixed at 1 (Caron et al., ICCV 2021, which
    finds that a free gain makes training unstable), so logits are cosines in [-1, 1]. No batch
    norm, as in the paper.

    Args:
        columns: of the embedding.
        prototypes: logits; the paper uses 65,536 for a million images, fewer do for fewer.
        hidden: width of the two hidden layers.
        bottleneck: width before the prototypes.
    """

    def __init__(
        self, columns: int, prototypes: int, hidden: int = 2048, bottleneck: int = 256
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(columns, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.prototypes = nn.Linear(bottleneck, prototypes, bias=False)
        """Only directions count. The paper keeps them fixed in the first epoch: while features
        are random they should not be drawn together."""

    def forward(self, x: Tensor) -> Tensor:
        """`(..., columns)` to `(..., prototypes)`."""
        hidden = functional.normalize(self.layers(x), dim=-1)
        return functional.linear(hidden, functional.normalize(self.prototypes.weight, dim=1))
