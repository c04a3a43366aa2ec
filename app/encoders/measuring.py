"""Measures searches and decisions, whoever asks: requests and jobs share one attributor."""

from __future__ import annotations

import time

from app.telemetry.metrics import Metrics
from attribution.answer import Attribution
from attribution.attributor import DEFAULT_ALPHA, DEFAULT_TOP_K, Attributor
from attribution.retrieval.retrieval import Rows


class MeasuredAttributor(Attributor):
    """An attributor that tells the metrics how long a search took and what was decided."""

    def __init__(self, plain: Attributor, metrics: Metrics) -> None:
        super().__init__(plain.encoder, plain.catalog, plain.index, plain.calibration, plain.shares)
        self._metrics = metrics

    def attribute(
        self,
        embeddings: Rows,
        *,
        top_k: int = DEFAULT_TOP_K,
        collections: frozenset[str] | None = None,
        alpha: float = DEFAULT_ALPHA,
    ) -> list[Attribution]:
        """Answer each query. See `Attributor.attribute`."""
        started = time.perf_counter()
        answers = super().attribute(embeddings, top_k=top_k, collections=collections, alpha=alpha)
        self._metrics.stage("search", time.perf_counter() - started)
        for answer in answers:
            self._metrics.decided(answer.decision)
        return answers
