"""Pictures on disk, each of its own colour, and methods that need no network."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attribution.evaluation.ranks.methods import Rows
from tests.support.pictures import picture


def draw_picture(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, (40, 32), (4, 5)).save(path)
    return path


class MeanColours:
    """Describes an image by the colours of its quarters; counts what it has seen."""

    def __init__(self, name: str = "mean colours") -> None:
        self.name = name
        self.seen = 0

    def __call__(self, images: Iterable[Image.Image]) -> Rows:
        rows = []
        for image in images:
            self.seen += 1
            small = image.resize((2, 2), Image.Resampling.BOX)
            rows.append(np.asarray(small, np.float32).ravel() / 255 - 0.5)
        return np.stack(rows)


def nearest(queries: Rows, gallery: Rows, truth: object) -> Rows:
    return -((queries[:, None] - gallery[None]) ** 2).sum(axis=2)


@pytest.fixture
def draw() -> Callable[[Path, int], Path]:
    return draw_picture


@pytest.fixture
def describer() -> MeanColours:
    return MeanColours()


@pytest.fixture
def new_describer() -> Callable[[str], MeanColours]:
    return MeanColours


@pytest.fixture
def scorer():
    return nearest
