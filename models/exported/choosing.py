"""Which engine is faster on this processor, by running both."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch

from models.encoder import Encoder
from models.engine import Choice, EngineName, Rate
from models.exported.remembered import Circumstances, remember, remembered
from models.exported.stored import (
    TOLERANCE,
    EngineUnavailable,
    difference,
    load_engine,
    rates_path,
)

BATCHES = (1, 8)
"""Queries in a pass that are measured: one alone, and as many as wait under load."""
SECONDS = 0.15
"""For which each of them is measured, at least once."""


def by_faster(encoder: Encoder, folder: Path, *, anew: bool = False) -> Encoder:
    """The encoder by torch or by its exported network, whichever is faster here.

    Args:
        encoder: by torch.
        folder: of all exported networks.
        anew: measure, whatever was measured in the last day.

    Raises:
        EngineUnavailable: the exported network is not there or not sound.
        ImportError: the extra `onnx` is not installed.
    """
    exported, manifest = load_engine(encoder, folder)
    path, here = rates_path(folder, encoder.model_id), Circumstances.here(manifest.graph_sha256)
    rates = None if anew else remembered(path, here)
    if rates is None:
        rates = measure([encoder, encoder.by(exported, Choice("onnx"))])
        remember(path, here, rates)
    choice = Choice(faster(rates), "measured", rates)
    return encoder.by(exported if choice.engine == "onnx" else encoder.engine, choice)


def measure(encoders: Sequence[Encoder], seconds: float = SECONDS) -> tuple[Rate, ...]:
    """How many queries a second each of several engines encodes, in turn; the best round counts.

    A round in which another process had the core says nothing of the engine.

    Args:
        encoders: the same one by each engine.
        seconds: for each size of batch, after a first pass that is not counted.

    Raises:
        EngineUnavailable: two engines give rows that differ.
    """
    draw = torch.Generator().manual_seed(0)
    prepared = encoders[0].card.preprocessing
    rates: list[Rate] = []
    for batch in BATCHES:
        pixels = torch.randn(batch, 3, prepared.height, prepared.width, generator=draw)
        rows = [encoder.embed(pixels, domain="query") for encoder in encoders]
        apart = max((difference(some, others) for some, others in pairwise(rows)), default=0.0)
        if not apart <= TOLERANCE:
            raise EngineUnavailable(
                f"its exported network gives rows that differ from torch's by {apart:.1e}; "
                "`attribution engine build` makes it again"
            )
        shortest = [math.inf] * len(encoders)
        end = time.perf_counter() + seconds
        while math.inf in shortest or time.perf_counter() < end:
            for number, encoder in enumerate(encoders):
                started = time.perf_counter()
                encoder.embed(pixels, domain="query")
                shortest[number] = min(shortest[number], time.perf_counter() - started)
        rates += [
            Rate(encoder.engine.name, batch, batch / best)
            for encoder, best in zip(encoders, shortest, strict=True)
        ]
    return tuple(rates)


def faster(rates: Sequence[Rate]) -> EngineName:
    """The engine with the largest product of rates over sizes of batch; of equals the first."""
    products: dict[EngineName, float] = {}
    for rate in rates:
        products[rate.engine] = products.get(rate.engine, 1.0) * rate.queries_per_second
    return max(products, key=products.__getitem__)
