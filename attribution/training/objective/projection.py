"""What stands between an embedding and a loss, and is thrown away after training."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

HIDDEN = 512

Kind = Literal["none", "linear", "mlp"]

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
        kind: `mlp` is `Projector`, `linear` a matrix; `none` compares the slices themselves.
    """

    def __init__(self, columns: Columns, out: int, kind: Kind = "mlp") -> None:
        widths = {name: width_of(part) for name, part in columns.items()}
        super().__init__({name: _projector(width, out, kind) for name, width in widths.items()})
        self.columns = columns
        self.widths = widths if kind == "none" else dict.fromkeys(widths, out)
        """Columns of each projection."""

    def forward(self, descriptors: Tensor) -> dict[str, Tensor]:
        """`(n, d)` descriptors to `(n, out)` unit rows, by name."""
        return {
            name: functional.normalize(projector(descriptors[:, self.columns[name]]), dim=1)
            for name, projector in self.items()
        }


def width_of(columns: slice) -> int:
    """How many columns a slice has."""
    width: int = columns.stop - columns.start
    return width


def _projector(columns: int, out: int, kind: Kind) -> nn.Module:
    if kind == "mlp":
        return Projector(columns, HIDDEN, out)
    return nn.Linear(columns, out, bias=False) if kind == "linear" else nn.Identity()


class PrototypeHead(nn.Module):
    r"""DINO's head: logits of prototypes from a three-layer perceptron.

    .. math:: \mathrm{logit}_k = \frac{w_k^\top}{\lVert w_k \rVert}
              \frac{h(x)}{\lVert h(x) \rVert}

    The last layer is weight-normalised with its gain fixed at 1 (Caron et al., ICCV 2021, which
    finds that a free gain makes training unstable), so logits are cosines in [-1, 1]. No batch
    norm, as in the paper. Of kind `linear` a matrix takes the place of the perceptron, of kind
    `none` nothing: then :math:`h(x) = x`.

    Args:
        columns: of the embedding.
        prototypes: logits; the paper uses 65,536 for a million images, fewer do for fewer.
        hidden: width of the two hidden layers.
        bottleneck: width before the prototypes.
        kind: of :math:`h`.
    """

    def __init__(
        self,
        columns: int,
        prototypes: int,
        hidden: int = 2048,
        bottleneck: int = 256,
        kind: Kind = "mlp",
    ) -> None:
        super().__init__()
        widths = {"mlp": (columns, hidden, hidden, bottleneck), "linear": (columns, bottleneck)}
        layers: list[nn.Module] = []
        for before, after in pairwise(widths.get(kind, ())):
            layers += [nn.GELU()] if layers else []
            layers.append(nn.Linear(before, after))
        self.layers = nn.Sequential(*layers)
        bottleneck = columns if kind == "none" else bottleneck
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
