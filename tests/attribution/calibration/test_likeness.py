"""Likeness is a conformal p-value, and tells pages of text from pictures."""

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.spatial.distance import mahalanobis

from attribution.answer import UNLIKE
from attribution.calibration.likeness import Likeness, features_of
from attribution.retrieval.fusion import Fusion, fusion_of
from attribution.synthesis.photographs import bundled_photographs
from models import load_encoder
from models.background import BACKGROUND, read_background
from models.loading import BUNDLED
from tests.support.spaces import SmallSpace


def drawn(seed, n, columns=4):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, columns)) @ rng.standard_normal((columns, columns)) + 3


def test_it_is_the_rank_of_a_mahalanobis_distance():
    background, queries = drawn(0, 200), drawn(0, 260)[200:] * 1.3
    found = Likeness.of(background)
    assert found is not None
    inverse = np.linalg.inv(np.cov(background, rowvar=False))
    centre = background.mean(axis=0)
    own = [mahalanobis(row, centre, inverse) for row in background]
    wanted = [
        (1 + sum(each >= mahalanobis(row, centre, inverse) for each in own)) / 201
        for row in queries
    ]
    assert found.p_values(queries) == pytest.approx(wanted)


def test_queries_like_the_background_are_unlike_it_no_more_often_than_said():
    rows = drawn(1, 4_000)
    found = Likeness.of(rows[:2_000])
    p_values = found.p_values(rows[2_000:])
    for alpha in (0.01, 0.1, 0.5):
        error = np.sqrt(alpha * (1 - alpha) / 2_000)
        assert np.mean(p_values <= alpha) == pytest.approx(alpha, abs=4 * error)


def test_columns_that_say_the_same_do_no_harm():
    rows = drawn(2, 300)
    twice = np.column_stack([rows, rows[:, :1]])
    one, two = Likeness.of(rows), Likeness.of(twice)
    assert two.p_values(twice) == pytest.approx(one.p_values(rows), abs=0.01)


def test_of_few_images_or_of_one_part_nothing_is_told():
    assert Likeness.of(drawn(3, 50)) is None
    space = SmallSpace()
    single = Fusion(space.parts[:1], space.reference, space.views)
    asked = single.prepare(space.query_rows(1, 150)[:, : single.views * single.parts[0].stop])
    assert features_of(asked).shape == (150, 0)
    assert Likeness.of(features_of(asked)) is None


def page_of_text(seed):
    page, rng = Image.new("RGB", (400, 520), "white"), random.Random(seed)
    pen = ImageDraw.Draw(page)
    for top in range(30, 490, 14):
        words = ("".join(rng.choices("abcdefghijklmno", k=rng.randint(2, 9))) for _ in range(9))
        pen.text((30, top), " ".join(words), fill="black")
    return page


def test_pages_of_text_are_unlike_the_bundled_background_and_photographs_are_not():
    encoder = load_encoder()
    fusion = fusion_of(encoder)
    background = read_background(BUNDLED / BACKGROUND)
    found = Likeness.of(features_of(fusion.prepare(background.rows[::4])))

    def likeness(images):
        rows = encoder.encode([each.convert("RGB") for each in images], domain="query")
        return found.p_values(features_of(fusion.prepare(rows)))

    assert max(likeness([page_of_text(seed) for seed in range(4)])) <= UNLIKE
    assert min(likeness([each.image for each in bundled_photographs()[:6]])) > UNLIKE
