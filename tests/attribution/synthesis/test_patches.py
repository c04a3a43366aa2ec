"""What the generator promises of its pictures, measured without its own search."""

from functools import cache

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from scipy.spatial.distance import cdist

from attribution.synthesis import from_one, from_two

SIZE = 96
PAIRS = [
    ("chelsea", "coffee"),
    ("china", "flower"),
    ("astronaut", "tissue"),
    ("coffee", "motorcycle"),
]


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), dtype=np.float64)


def scaled(image: Image.Image, like: Image.Image) -> Image.Image:
    return image.resize(like.size, Image.Resampling.LANCZOS)


def windows(image: Image.Image, side: int) -> np.ndarray:
    view = sliding_window_view(pixels(image), (side, side), axis=(0, 1))
    return view.reshape(-1, 3 * side * side)


def distance_to_nearest(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Root mean squared difference of each query to the key most like it, in grey levels."""
    return cdist(queries, keys).min(axis=1) / np.sqrt(keys.shape[1])


def histogram_distance(a: Image.Image, b: Image.Image) -> float:
    """Total variation between the joint colour histograms, 6 bins a channel: 0 to 1."""
    shares = []
    for image in (a, b):
        counts, _ = np.histogramdd(pixels(image).reshape(-1, 3), bins=6, range=[(0, 256)] * 3)
        shares.append(counts / counts.sum())
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def coarse_luminance(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), float).ravel()


def correlation(a: Image.Image, b: Image.Image) -> float:
    return float(np.corrcoef(coarse_luminance(a), coarse_luminance(b))[0, 1])


@pytest.fixture(scope="module")
def rearranged(photographs):
    """``rearranged(name)``: that photograph by `from_one`, made once."""
    return cache(lambda name: from_one(photographs[name], seed=0, size=SIZE))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "china", "coins"])
def test_one_source_is_rearranged_with_its_own_colours(photographs, rearranged, name):
    result = rearranged(name)
    source = scaled(photographs[name], result)
    assert np.abs(pixels(result) - pixels(source)).mean() > 5
    assert histogram_distance(result, source) < 0.3


def test_what_is_seen_comes_from_the_source(photographs):
    result = from_one(photographs["coffee"], seed=3, size=SIZE)
    source, other = (scaled(photographs[name], result) for name in ("coffee", "rocket"))
    found = windows(result, 5)[::9]
    distances = distance_to_nearest(found, windows(source, 5))
    assert np.median(distances) < 8
    assert np.quantile(distances, 0.95) < 30  # the rest are seams between pieces
    assert np.median(distance_to_nearest(found, windows(other, 5))) > 4 * np.median(distances)


@pytest.mark.parametrize(("structure", "appearance"), PAIRS)
def test_two_sources_show_in_layout_and_in_colour(photographs, rearranged, structure, appearance):
    shape, look = photographs[structure], photographs[appearance]
    result = from_two(shape, look, seed=0, size=SIZE)
    assert result.size == rearranged(structure).size
    assert correlation(result, shape) > 0.6
    assert correlation(result, shape) > correlation(result, look) + 0.2
    assert histogram_distance(result, look) < histogram_distance(result, shape)


def test_the_seed_decides(photographs):
    cat, cup = photographs["chelsea"], photographs["coffee"]
    first = from_one(cat, seed=5, size=48)
    assert from_one(cat, seed=5, size=48).tobytes() == first.tobytes()
    assert from_one(cat, seed=6, size=48).tobytes() != first.tobytes()
    pair = from_two(cat, cup, seed=5, size=48)
    assert from_two(cat, cup, seed=5, size=48).tobytes() == pair.tobytes()
    assert from_two(cat, cup, seed=6, size=48).tobytes() != pair.tobytes()


@pytest.mark.parametrize("size", [1, 17, 80])
def test_size_is_the_long_side(photographs, size):
    result = from_one(photographs["coffee"], seed=0, size=size)
    assert max(result.size) == size
    assert result.mode == "RGB"


def odd_images() -> dict[str, Image.Image]:
    rng = np.random.default_rng(0)
    return {
        "tiny": Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)),
        "thin": Image.fromarray(rng.integers(0, 256, (200, 8, 3), dtype=np.uint8)),
        "line": Image.new("RGB", (300, 1), "red"),
        "pixel": Image.new("RGB", (1, 1), "red"),
        "grey": Image.fromarray(rng.integers(0, 256, (40, 60), dtype=np.uint8)),
        "transparent": Image.new("RGBA", (30, 30), (10, 20, 30, 40)),
    }


@pytest.mark.parametrize("name", odd_images())
@pytest.mark.parametrize("size", [8, 64])
def test_odd_images_are_made_too(name, size):
    odd, plain = odd_images()[name], Image.new("RGB", (50, 40), "navy")
    assert max(from_one(odd, seed=0, size=size).size) == size
    assert max(from_two(odd, plain, seed=0, size=size).size) == size
    assert max(from_two(plain, odd, seed=0, size=size).size) == size


@pytest.mark.parametrize("colour", ["black", "white", (120, 40, 200)])
def test_a_constant_image_stays_constant(colour):
    constant = Image.new("RGB", (70, 50), colour)
    result = from_one(constant, seed=1, size=48)
    assert np.abs(pixels(result) - pixels(scaled(constant, result))).max() <= 1


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_below_one_is_refused(size):
    with pytest.raises(ValueError, match="choose 1 or more"):
        from_one(Image.new("RGB", (9, 9)), seed=0, size=size)
