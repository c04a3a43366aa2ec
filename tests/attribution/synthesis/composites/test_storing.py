"""Provenance comes back as it was stored, and what is none is refused with its place."""

import json

import numpy as np
import pytest
from PIL import Image

from attribution.evaluation.benchmark.formats import read_benchmark
from attribution.synthesis import generate
from attribution.synthesis.composites.pictures import KINDS, composed, sources_of
from attribution.synthesis.composites.storing import (
    BadProvenance,
    read_mask,
    read_provenance,
    write_mask,
)

RNG = np.random.default_rng(0)
SOURCES = [
    (name, Image.fromarray(RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)))
    for name in ("alder", "birch", "cedar")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("composites")
    generate(
        SOURCES, folder, singles=1, pairs=0, seed=4, size=32, composites=dict.fromkeys(KINDS, 2)
    )
    return folder


def test_a_mask_comes_back_to_half_a_step(tmp_path):
    mask = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)
    write_mask(mask, tmp_path / "a.mask.png")
    assert np.abs(read_mask(tmp_path / "a.mask.png") - mask).max() <= 0.5 / 255 + 1e-6


def test_a_folder_of_composites_says_which_pixel_is_whose(folder):
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert "mask" not in rows[0]
    stored = list(read_provenance(folder / "manifest.jsonl"))
    assert len(stored) == len(rows) - 1 == 2 * len(KINDS)
    for row, kept in zip(rows[1:], stored, strict=True):
        roles = [source["role"] for source in row["sources"]]
        assert roles == ["inside", "outside"][: sources_of(row["method"])]
        assert row["set"] == f"composite_{row['method']}"
        assert kept.query == folder / row["query"]
        assert [path.name for path in kept.sources] == [
            source["image"].removeprefix("sources/") for source in row["sources"]
        ]
        assert 0 < kept.mask.mean() < 1
        if row["method"] in ("cutmix", "paste"):  # same frame: pixels can be compared
            query, first, second = (
                np.asarray(Image.open(path).convert("RGB"), float)
                for path in (kept.query, *kept.sources)
            )
            share = kept.mask[..., None]
            assert np.abs(query - share * first - (1 - share) * second).max() < 2


def test_what_is_generated_can_be_evaluated(folder):
    benchmark = read_benchmark(folder)
    assert {case.set for case in benchmark.ranked} == {
        "patch_single", *(f"composite_{kind}" for kind in KINDS)
    }  # fmt: skip
    assert {len(case.truths) for case in benchmark.ranked} == {1, 2}


def test_composites_leave_the_other_images_as_they_were(folder, tmp_path):
    generate(SOURCES, tmp_path, singles=1, pairs=0, seed=4, size=32)
    same = [(at / "queries" / "00000.png").read_bytes() for at in (folder, tmp_path)]
    assert same[0] == same[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_composed_is_that_of_its_seed(kind):
    own = [image for _, image in SOURCES[: sources_of(kind)]]
    first, again = (composed(kind, own, seed=9, size=40) for _ in range(2))
    assert first.image.size == (40, 30)
    assert first.mask.shape == (30, 40)
    assert first.image.tobytes() == again.image.tobytes()
    assert np.array_equal(first.mask, again.mask)
    with pytest.raises(ValueError, match="is made of"):
        composed(kind, [*own, own[0]], seed=0, size=40)


def test_what_is_no_provenance_is_refused_with_its_place(tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    SOURCES[0][1].save(tmp_path / "query.png")
    write_mask(np.ones((5, 5), np.float32), tmp_path / "small.png")
    SOURCES[0][1].save(tmp_path / "colour.png")
    for row, says in {
        '{"mask": "small.png", "query": "query.png", "sources": []}': "line 1: a mask of",
        '{"mask": "colour.png", "query": "query.png", "sources": []}': "8-bit grey image, not RGB",
        '{"mask": "none.png", "query": "query.png", "sources": []}': "none.png: cannot be read",
        '{"mask": "small.png", "query": "query.png"}': "line 1: no row",
        "[": "line 1: no row",
    }.items():
        manifest.write_text(row)
        with pytest.raises(BadProvenance, match=says):
            list(read_provenance(manifest))
