"""Answers to explain, and the bundled encoder on real photographs."""

from datetime import UTC, datetime

import pytest
from PIL import Image

from attribution.answer import Attribution, CalibrationState, RankedSource
from attribution.catalog import Source
from attribution.synthesis.photographs import bundled_photographs
from models import load_encoder


def source(name: str) -> Source:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Source(
        source_id=name, vector_id=1, collection="default", sha256="0" * 64, width=1, height=1,
        format="jpeg", uri=None, title=None, creator=None, licence=None, metadata={},
        created_at=now, updated_at=now, revision=1,
    )  # fmt: skip


def ranked(rank: int, *, attributed: bool = True) -> RankedSource:
    return RankedSource(rank, source(f"src_{rank}"), 1.0, 0.001, 0.1, attributed)


def answer(*attributed: bool) -> Attribution:
    sources = tuple(ranked(rank, attributed=each) for rank, each in enumerate(attributed, 1))
    return Attribution(
        "model", 1, "attributed", 0.001, 0.01, CalibrationState("id", "fresh"), sources, 0.0, 0.0
    )


@pytest.fixture(scope="package")
def encoder():
    return load_encoder()


@pytest.fixture(scope="package")
def photographs() -> dict[str, Image.Image]:
    return {each.name: each.image for each in bundled_photographs()}
