"""Which of the listed sources an image is itself: by its bytes, or by its pixels."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from attribution.recognition import recognised, same_picture, signature
from models.images.decoding import decode
from tests.support.answers import attribution
from tests.support.folders import fill, preview_of, sha256_of
from tests.support.pictures import jpeg, picture, png


def saved(image: Image.Image, **options) -> Image.Image:
    written = io.BytesIO()
    image.convert("RGB").save(written, "JPEG", **options)
    return Image.open(written)


def trimmed(image: Image.Image, share: float) -> Image.Image:
    x, y = round(image.width * share), round(image.height * share)
    return image.crop((x, y, image.width - x, image.height - y))


COPIES = {
    "saved badly": lambda image: saved(image, quality=40),
    "half as large": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice as large": lambda image: image.resize((image.width * 2, image.height * 2)),
    "in grey": lambda image: image.convert("L"),
    "paler": lambda image: image.point(lambda value: 100 + value // 2),
    "mirrored": ImageOps.mirror,
}


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_copy_is_the_same_picture(change, seed):
    first = picture(seed, size=(160, 120))
    assert same_picture(signature(change(first)), signature(first))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: trimmed(image, 0.2),
        ImageOps.flip,
        ImageOps.invert,
        lambda image: Image.new("RGB", image.size, "grey"),
        lambda _: picture(9, size=(160, 120)),
    ],
    ids=["a part", "upside down", "inverted", "one colour", "another"],
)
def test_what_is_no_copy_is_none(change):
    first = picture(1, size=(160, 120))
    assert not same_picture(signature(change(first)), signature(first))


def product(draw) -> Image.Image:
    image = Image.new("RGB", (200, 200), "white")
    draw(ImageDraw.Draw(image))
    return image


def test_two_dark_things_on_white_are_not_one_picture():
    disc = product(lambda pen: pen.ellipse((40, 40, 160, 160), fill="black"))
    cross = product(
        lambda pen: [pen.rectangle((46 + x, 46 + y, 64 + x, 64 + y), fill="black")
                     for x in range(0, 100, 30) for y in range(0, 100, 30)]
    )  # fmt: skip
    smooth = signature(disc), signature(cross.resize((8, 8)).resize((200, 200)))
    assert not same_picture(*smooth)
    assert same_picture(signature(disc), signature(saved(disc, quality=50)))


def test_both_correlations_count():
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 255, 32)[None, :].repeat(32, axis=0)
    grain = rng.normal(0, 12, (32, 32))
    assert np.corrcoef(slope.ravel(), (slope + grain).ravel())[0, 1] > 0.95
    assert not same_picture(slope, slope + grain)  # alike in light alone


@pytest.fixture
def held(catalog):
    fill(catalog, range(3))
    return catalog


def answer(catalog, *, attributed):
    sources = sorted(catalog.sources().items, key=lambda source: source.uri)
    found = attribution(count=3)
    return replace(
        found,
        sources=tuple(
            replace(each, source=source, attributed=attributed)
            for each, source in zip(found.sources, sources, strict=True)
        ),
    )


def matches(catalog, query, *, attributed=True):
    found = recognised(catalog, answer(catalog, attributed=attributed), query)
    return [each.match for each in found.sources]


SAVED_AGAIN = decode(jpeg(Image.open(io.BytesIO(preview_of(1))), quality=50))
THE_FILE = replace(SAVED_AGAIN, sha256=sha256_of(1))


def test_the_very_file_and_another_file_of_it_are_told_apart(held):
    assert matches(held, THE_FILE) == [None, "identical", None]
    assert matches(held, SAVED_AGAIN) == [None, "copy", None]
    assert matches(held, decode(png(picture(7)))) == [None, None, None]


def test_what_is_not_attributed_is_compared_by_its_bytes_alone(held):
    assert matches(held, THE_FILE, attributed=False) == [None, "identical", None]
    assert matches(held, SAVED_AGAIN, attributed=False) == [None, None, None]


def test_a_source_that_has_gone_meanwhile_matches_nothing(held):
    found = answer(held, attributed=True)
    held.delete(source_ids=[found.sources[1].source.source_id])
    assert [each.match for each in recognised(held, found, SAVED_AGAIN).sources] == [None] * 3
