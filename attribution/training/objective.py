"""What a step minimises: alignment of views and of mixtures, plus disentanglement.

Three projections of the descriptor are compared: `semantics` (pooled last stage), `structure`
(its grid) and `appearance` (statistics of the earlier stages). A mixed view must find both its
sources in the first, only its structure source in the second and only its appearance source in
the third, each against all other images of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from attribution.training.alignment import contrastive
from attribution.training.config import TrainingConfig
from attribution.training.disentanglement import RecentRows, log_determinant
from attribution.training.mixing import collage, mix
from attribution.training.views import MILD, STRONG, ViewRecipe, make_view, random_crop
from models.backbones.features import Features
from models.backbones.residual import ResidualNet

# A sixth of the mixed views are collages that only the semantic term sees: pasted regions have no
# structure or appearance source. (`mix` draws further ones among its own kinds.)
PASTED = 6


@dataclass(frozen=True, slots=True)
class Views:
    """The views of one step; `mixed` row `i` joins image `i` with image `i + n/2`."""

    mild: Tensor
    strong: Tensor
    mixed: Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """The total and its terms, unweighted, for the log."""

    total: Tensor
    terms: dict[str, float]


def make_views(images: Tensor, size: int, generator: Generator, *, with_mixed: bool) -> Views:
    """Draw one mild and one strong view of each image and a mixed view of every pair."""
    mild = make_view(images, size, MILD, generator)
    strong = make_view(images, size, STRONG, generator)
    if not with_mixed:
        return Views(mild, strong, images.new_zeros(0, 3, size, size))
    half = len(images) // 2
    crop: ViewRecipe = MILD
    structure = random_crop(images[:half], size, crop.scale, crop.aspect, generator)
    appearance = random_crop(images[half:], size, crop.scale, crop.aspect, generator)
    pasted = half // PASTED
    mixed = torch.cat(
        [
            collage(structure[:pasted], appearance[:pasted], generator),
            mix(structure[pasted:], appearance[pasted:], generator),
        ]
    )
    return Views(mild, strong, mixed)


class Projector(nn.Sequential):
    """Two-layer projection, thrown away after training (Chen et al., ICML 2020)."""

    def __init__(self, columns: int, hidden: int, out: int) -> None:
        super().__init__(
            nn.Linear(columns, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, out, bias=False),
        )


class Objective(nn.Module):
    """The three projectors and the loss over them."""

    def __init__(self, net: ResidualNet, config: TrainingConfig) -> None:
        super().__init__()
        layout = {part.name: part for part in net.blocks_of_descriptor}
        stages = [part for part in net.blocks_of_descriptor if part.name.startswith("stage")]
        self.config = config
        self.columns = {
            "semantics": layout["global"].columns,
            "structure": layout["grid"].columns,
            "appearance": slice(stages[0].start, stages[-1].stop),
        }
        self.projectors = nn.ModuleDict(
            {
                name: Projector(columns.stop - columns.start, 512, config.projection)
                for name, columns in self.columns.items()
            }
        )
        self.recent = RecentRows(config.logdet_batches)

    def forward(self, features: Features, n: int) -> Loss:
        """Loss of features of `cat([mild, strong, mixed])`, `n` images."""
        pairs = torch.arange(n, device=features.pooled.device)
        terms: dict[str, Tensor] = {}
        weights = self._weights()
        for name, columns in self.columns.items():
            rows = functional.normalize(self.projectors[name](features.pooled[:, columns]), dim=1)
            mild, strong, mixed = rows[:n], rows[n : 2 * n], rows[2 * n :]
            terms[name] = self._views(mild, strong, pairs)
            if len(mixed):
                terms[f"{name} mixed"] = self._mixtures(name, mixed, mild)
        if self.config.logdet_weight > 0:
            pooled = features.pooled[: 2 * n, self.columns["semantics"]]
            joined, batches = self.recent.join(pooled)
            terms["logdet"] = log_determinant(joined)
            # Only the newest batch carries a gradient: its share of the covariance is made good.
            weights["logdet"] = self.config.logdet_weight * batches
        total = sum(
            (weights[name] * term for name, term in terms.items()),
            start=features.pooled.new_zeros(()),
        )
        return Loss(total, {name: float(term.detach()) for name, term in terms.items()})

    def _weights(self) -> dict[str, float]:
        config = self.config
        roles = ("structure", "structure mixed", "appearance", "appearance mixed")
        return {
            "semantics": 1.0,
            "semantics mixed": config.mixed_weight,
            **dict.fromkeys(roles, config.role_weight),
        }

    def _views(self, mild: Tensor, strong: Tensor, pairs: Tensor) -> Tensor:
        """NT-Xent of both directions, the other images of both views as negatives."""
        n = len(pairs)
        itself = torch.zeros(n, 2 * n, dtype=torch.bool, device=mild.device)
        itself[pairs, n + pairs] = True
        return 0.5 * (
            self._contrastive(mild, torch.cat([strong, mild]), pairs, itself)
            + self._contrastive(strong, torch.cat([mild, strong]), pairs, itself)
        )

    def _mixtures(self, name: str, mixed: Tensor, mild: Tensor) -> Tensor:
        half = len(mixed)
        first = torch.arange(half, device=mild.device)
        second = first + half
        if name == "semantics":  # one term a source, so that one cannot stand for the other
            return 0.5 * (
                self._contrastive(mixed, mild, first, _only(second, len(mild)))
                + self._contrastive(mixed, mild, second, _only(first, len(mild)))
            )
        whole = slice(half // PASTED, None)
        target = first if name == "structure" else second
        return self._contrastive(mixed[whole], mild, target[whole], None)

    def _contrastive(
        self, queries: Tensor, keys: Tensor, positives: Tensor, excluded: Tensor | None
    ) -> Tensor:
        return contrastive(
            queries,
            keys,
            positives,
            temperature=self.config.temperature,
            excluded=excluded,
            decoupled=self.config.decoupled,
        )


def _only(columns: Tensor, width: int) -> Tensor:
    return functional.one_hot(columns, width).bool()
