"""The supervised rival: linear maps trained on labelled pairs, cross-validated by source.

It sees true sources, which no other method of the table does. Knows no image and no encoder.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from attribution.evaluation.ranks.methods import OfGallery, Rows
from attribution.evaluation.statistics.folds import Labels, Truth, folds_of, source_groups
from models.heads import AffineMap, linear_identity

STARTS = (0.0, 0.5, 1.0)
"""Powers of the whitening that the identity may start from: none, half, all of it."""
SHRINKAGE = 0.01
FITTED_ROWS = 4_000  # gallery rows that suffice for its principal directions
RIVALS = 1_000  # gallery rows that a pair is ranked against when maps are chosen
HELD_OUT = 5  # one in so many groups of the training folds stops the training


@dataclass(frozen=True, slots=True)
class Recipe:
    """Knobs of the training.

    Attributes:
        folds: parts of the labelled queries; each is scored by maps trained on the others.
        columns: descriptors are first reduced to so many principal directions of the gallery.
        steps: of the whole training set, at most.
        patience: steps without gain on the held-out part before training stops.
        learning_rate: of AdamW, times the root of the number of columns: what the maps add to a
            column is a sum over all of them.
        temperature: of the contrastive loss.
        orthogonality: weight of the pull towards orthogonal maps, which keeps few labels from
            bending them.
        seed: of the split.
    """

    folds: int = 5
    columns: int = 512
    steps: int = 60
    patience: int = 10
    learning_rate: float = 0.02
    temperature: float = 0.05
    orthogonality: float = 0.01
    seed: int = 0


class SupervisedScorer:
    """Cosine under two affine maps, one of queries and one of sources, learnt from labels.

    The recipe of Wang et al., "Evaluating Data Attribution for Text-to-Image Models" (ICCV
    2023): both maps start as the identity and are trained contrastively in both directions on
    labelled pairs over frozen descriptors. What is ours:

    - Queries that share a source, directly or through others, form a group; folds are made of
      whole groups, so no query is scored by maps that saw a source of it or another query of
      one. One in five training groups is held out and decides when to stop.
    - Descriptors are first reduced to at most 512 principal directions of the gallery, centred.
      With fewer gallery rows than that nothing that ranks them is lost. The identity may start
      from these as they are, half whitened or whitened; the training pairs choose.
    - Pairs of all folds come from the queries given, so maps for laundered queries are trained
      on laundered queries. That and the gallery's directions favour this method over the others.

    Queries that are themselves sources of others (leave-one-out) join groups only through shared
    sources, which takes subjects of three images at least. Deterministic: full batches, on the CPU.
    """

    def __init__(self, recipe: Recipe | None = None) -> None:
        self.recipe = recipe or Recipe()
        self._reduced = OfGallery(self._reduce)

    def __call__(self, queries: Rows, gallery: Rows, truth: Truth) -> Rows:
        """See `Scorer`; give all queries at once.

        Raises:
            TooFewGroups: fewer than four groups of queries without a source in common.
        """
        space, sources = self._reduced(gallery)
        projected = space.project(queries)
        folds = folds_of(truth, self.recipe.folds, self.recipe.seed)
        scores = np.empty((len(queries), len(gallery)), np.float32)
        for fold in np.unique(folds):
            rows = np.flatnonzero(folds == fold)
            training = np.flatnonzero(folds != fold)
            scale, maps = self._train(projected, sources, truth, training, space)
            with torch.inference_mode():
                scores[rows] = maps.cosines(projected[rows] * scale, sources * scale).numpy()
        return scores

    def _reduce(self, gallery: Rows) -> tuple[_Space, Tensor]:
        space = _Space.fitted(gallery, self.recipe.columns)
        return space, space.project(gallery)

    def _train(
        self, queries: Tensor, sources: Tensor, truth: Truth, rows: Labels, space: _Space
    ) -> tuple[Tensor, _Maps]:
        """The scale of the columns and the maps learnt from the labels of these rows only."""
        rng = np.random.default_rng(self.recipe.seed)
        learnt, held = _split(truth, rows, rng)
        labelled = _Pairs.of(truth, rows)
        chosen = rng.choice(len(sources), min(RIVALS, len(sources)), replace=False)
        rivals = torch.from_numpy(np.sort(chosen))
        identity = _Maps.identity(queries.shape[1])

        def start(power: float) -> float:
            scale = space.scale(power)
            return _reciprocal_rank(identity, queries * scale, sources * scale, labelled, rivals)

        scale = space.scale(max(STARTS, key=start))
        maps = self._descend(queries * scale, sources * scale, learnt, held, rivals)
        return scale, maps

    def _descend(
        self, queries: Tensor, sources: Tensor, learnt: _Pairs, held: _Pairs, rivals: Tensor
    ) -> _Maps:
        recipe = self.recipe
        maps = _Maps.identity(queries.shape[1])
        best, best_rank, waited = maps.copy(), 0.0, 0
        rate = recipe.learning_rate / queries.shape[1] ** 0.5
        optimiser = torch.optim.AdamW(maps.trainable(), lr=rate)
        left, right = queries[learnt.rows], sources[learnt.columns]
        for _ in range(recipe.steps):
            rank = _reciprocal_rank(maps, queries, sources, held, rivals)
            if rank > best_rank:
                best, best_rank, waited = maps.copy(), rank, 0
            elif waited == recipe.patience:
                break
            else:
                waited += 1
            optimiser.zero_grad()
            loss = contrastive_both_ways(
                maps.cosines(left, right) / recipe.temperature, learnt.positive
            )
            loss = loss + recipe.orthogonality * maps.skew()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return best


def contrastive_both_ways(logits: Tensor, positive: Tensor) -> Tensor:
    r"""InfoNCE of every true pair, from query to sources and from source to queries.

    .. math:: \frac{1}{2|P|} \sum_{(i,j) \in P} \Big[
              \log\big(1 + \textstyle\sum_{k: (i,k) \notin P} e^{l_{ik} - l_{ij}}\big) +
              \log\big(1 + \textstyle\sum_{k: (k,j) \notin P} e^{l_{kj} - l_{ij}}\big) \Big]

    Other true sources of a query are neither positive nor negative in a pair's term.

    Args:
        logits: `(n, m)` of queries and sources.
        positive: `(n, m)` boolean, the true pairs P; every row and column has a pair that is
            not true.

    Returns:
        Scalar.
    """
    negative = logits.masked_fill(positive, -torch.inf)
    by_query = functional.softplus(negative.logsumexp(1, keepdim=True) - logits)
    by_source = functional.softplus(negative.logsumexp(0, keepdim=True) - logits)
    return (by_query[positive].mean() + by_source[positive].mean()) / 2


@dataclass(frozen=True, slots=True)
class _Space:
    """Principal directions of a gallery: `mean` `(d,)`, `basis` `(d, k)`, `deviation` `(k,)`."""

    mean: Rows
    basis: Rows
    deviation: Rows

    @classmethod
    def fitted(cls, gallery: Rows, columns: int) -> _Space:
        rows = gallery[:: -(-len(gallery) // FITTED_ROWS)]
        mean = rows.mean(axis=0)
        centred = rows - mean
        values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64) / len(rows))
        keep = min(columns, gallery.shape[1], max(1, len(rows) - 1))
        ridge = SHRINKAGE * values.clip(min=0.0).mean() + 1e-12
        values, vectors = values[::-1][:keep].clip(min=0.0), vectors[:, ::-1][:, :keep]
        return cls(mean, vectors.astype(np.float32), np.sqrt(values + ridge).astype(np.float32))

    def project(self, rows: Rows) -> Tensor:
        """`(n, d)` descriptors to `(n, k)` columns."""
        return torch.from_numpy((rows - self.mean) @ self.basis)

    def scale(self, power: float) -> Tensor:
        """`(k,)` factors of the columns; power 1 whitens them."""
        return torch.from_numpy(self.deviation**-power)


@dataclass(frozen=True, slots=True)
class _Maps:
    query: AffineMap
    source: AffineMap

    @classmethod
    def identity(cls, columns: int) -> _Maps:
        return cls(linear_identity(columns), linear_identity(columns))

    def cosines(self, queries: Tensor, sources: Tensor) -> Tensor:
        """`(n, m)`."""
        cosines: Tensor = self.query(queries) @ self.source(sources).T
        return cosines

    def trainable(self) -> list[Tensor]:
        """The tensors to be trained, asked for their gradients."""
        tensors = [self.query.weight, self.query.mean, self.source.weight, self.source.mean]
        return [tensor.requires_grad_() for tensor in tensors]

    def skew(self) -> Tensor:
        """How far the maps are from orthogonal: Frobenius norms of W^T W - I, summed."""
        weights = (self.query.weight, self.source.weight)
        return torch.stack([torch.linalg.norm(w.T @ w - torch.eye(len(w))) for w in weights]).sum()

    def copy(self) -> _Maps:
        """Maps that further training leaves as they are."""
        return _Maps(copy.deepcopy(self.query), copy.deepcopy(self.source))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Labelled queries and their sources: `rows` `(n,)`, `columns` `(m,)`, `positive` `(n, m)`."""

    rows: Tensor
    columns: Tensor
    positive: Tensor

    @classmethod
    def of(cls, truth: Truth, rows: Labels) -> _Pairs:
        labelled = [int(row) for row in rows if truth[row]]
        columns = sorted({column for row in labelled for column in truth[row]})
        place = {column: number for number, column in enumerate(columns)}
        positive = torch.zeros(len(labelled), len(columns), dtype=torch.bool)
        for number, row in enumerate(labelled):
            positive[number, [place[column] for column in truth[row]]] = True
        return cls(torch.tensor(labelled), torch.tensor(columns), positive)


def _split(truth: Truth, rows: Labels, rng: np.random.Generator) -> tuple[_Pairs, _Pairs]:
    """Pairs to learn from and pairs held out, whole groups each."""
    labelled = np.array([row for row in rows if truth[row]], np.int64)
    groups = source_groups([truth[row] for row in labelled])
    held = np.isin(groups, rng.permutation(groups.max() + 1)[::HELD_OUT])
    return _Pairs.of(truth, labelled[~held]), _Pairs.of(truth, labelled[held])


def _reciprocal_rank(
    maps: _Maps, queries: Tensor, sources: Tensor, pairs: _Pairs, rivals: Tensor
) -> float:
    """Mean of 1 / rank of each true source among the rivals that are not true of its query."""
    with torch.inference_mode():
        own = maps.cosines(queries[pairs.rows], sources[pairs.columns])
        other = maps.cosines(queries[pairs.rows], sources[rivals])
        is_rival = (pairs.columns[:, None] == rivals[None, :]).float()
        other = other.masked_fill(pairs.positive.float() @ is_rival > 0, -torch.inf)
        row, column = pairs.positive.nonzero(as_tuple=True)
        ranks = 1 + (other[row] > own[row, column][:, None]).sum(dim=1)
        return float((1.0 / ranks).mean())
