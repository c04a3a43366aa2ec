"""Maps onto the embedding that is compared, and the choice of their knobs on held-out mixtures.

Used by `infomax.py`; knows no bench.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import torch
from infomax_linear import Alignment, Knobs, Term, train_map
from infomax_rows import BaseRows
from torch import Tensor

from attribution.training.run.monitor import rank_sources
from models.heads import AffineMap, Moments, cca, linear_identity, whiten

CHOOSING = 100  # the seed of runs that knobs are chosen by, none of the above
TEMPERATURES = (0.05, 0.1, 0.2)
RATES = {"sscd": (3e-4, 2e-3), "residual": (2e-3, 1e-2)}
"""By kind of base: contrast hurts SSCD at the larger one, and does too little at 3e-4 otherwise."""
WEIGHTS = (0.01, 0.075, 0.55, 4.0, 30.0)
RIDGES = (0.001, 0.01, 0.1, 1.0, 10.0)
FormKind = Literal["zca", "cca"]
FORMS: tuple[FormKind, ...] = ("zca", "cca")
TERMS: tuple[Term, ...] = ("none", "logdet", "koleo", "ica")


@torch.no_grad()
def mapped(maps: Sequence[AffineMap], rows: Tensor) -> Tensor:
    """Unit rows."""
    for each in maps:
        rows = each(rows)
    return rows


def closed_form(kind: str, before: Sequence[AffineMap], rows: BaseRows, ridge: float) -> AffineMap:
    """ZCA of images; or CCA of images and their views, half of them mild; after some maps."""
    moments = Moments(rows.dimension)
    images = mapped(before, rows.trained_on)
    if kind == "zca":
        moments.add(images, images)
        return whiten(moments, shrinkage=ridge)
    views = mapped(before, rows.pairs[:, :4].flatten(0, 1)).reshape(-1, 4, rows.dimension)
    moments.add(views[:, :2].flatten(0, 1), views[:, 2:].flatten(0, 1))
    return cca(moments, components=rows.dimension, shrinkage=ridge)


def held_out_precision(maps: Sequence[AffineMap], rows: BaseRows) -> float:
    """Mean average precision of held-out mixtures among all images outside the bench."""
    return rank_sources(mapped(maps, rows.mixtures), mapped(maps, rows.images), rows.sources)[0]


@dataclass(frozen=True, slots=True)
class Form:
    """A closed form, after a trained map if one is given."""

    kind: FormKind
    before: Knobs | None
    ridge: float


class Tried:
    """Figures of what was tried, by name, written down one by one, and none measured twice."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.figures: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def figure(self, name: str, measure: Callable[[], float]) -> float:
        """The figure of a name, measured if it is not there yet."""
        if name not in self.figures:
            started = time.perf_counter()
            self.figures[name] = measure()
            self._path.write_text(json.dumps(self.figures, indent=1))
            seconds = time.perf_counter() - started
            print(f"{name}: {self.figures[name]:.4f}, {seconds:.0f} s", flush=True)
        return self.figures[name]


class Choice:
    """The knobs of a kind of base, chosen on held-out mixtures."""

    def __init__(self, path: Path, rows: BaseRows, rates: Sequence[float]) -> None:
        self._rows, self._rates = rows, rates
        self._trained = cache(partial(train_map, rows))
        self.tried = Tried(path)
        self.best({"base": None})

    def best(self, candidates: Mapping[str, Knobs | Form | None]) -> Any:
        """Of named knobs or forms, those whose held-out mixtures rank best."""
        figures = {
            name: self.tried.figure(name, partial(self._precision, what))
            for name, what in candidates.items()
        }
        return candidates[max(candidates, key=lambda name: figures[name])]

    def knobs(self, term: Term, alignment: Alignment = "simclr") -> Knobs:
        """Rate and temperature of contrast alone; with that temperature, rate and weight."""
        grid = [Knobs("none", 0.0, t, rate) for t in TEMPERATURES for rate in self._rates]
        found = self._best_of(grid)
        if term != "none":
            t = found.temperature
            found = self._best_of(
                [Knobs(term, w, t, rate) for w in WEIGHTS for rate in self._rates]
            )
        return replace(found, alignment=alignment)

    def ridge(self, kind: FormKind, term: Term | None = None) -> float:
        """Of a closed form, after the chosen map of a term if one is given."""
        before = None if term is None else self.knobs(term)
        after = "" if term is None else f" after {term}"
        forms = [Form(kind, before, ridge) for ridge in RIDGES]
        named: dict[str, Knobs | Form | None] = {
            f"{kind}{after}, ridge {form.ridge:g}": form for form in forms
        }
        found: Form = self.best(named)
        return found.ridge

    def _best_of(self, grid: Sequence[Knobs]) -> Knobs:
        named: dict[str, Knobs | Form | None] = {
            f"{k.term} {k.weight:g}, temperature {k.temperature:g}, rate {k.rate:g}": k
            for k in grid
        }
        found: Knobs = self.best(named)
        return found

    def _precision(self, what: Knobs | Form | None) -> float:
        return held_out_precision(self._maps(what), self._rows)

    def _maps(self, what: Knobs | Form | None) -> list[AffineMap]:
        if what is None:
            return [linear_identity(self._rows.dimension)]
        if isinstance(what, Knobs):
            return [self._trained(what, CHOOSING)]
        maps = [] if what.before is None else [self._trained(what.before, CHOOSING)]
        return [*maps, closed_form(what.kind, maps, self._rows, what.ridge)]
