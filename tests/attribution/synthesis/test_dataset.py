import json

import numpy as np
import pytest
from PIL import Image

from attribution.synthesis import generate

RNG = np.random.default_rng(0)
SOURCES = [
    (name, Image.fromarray(RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)))
    for name in ("alder", "birch", "cedar")
]


def test_the_manifest_names_every_query_and_its_true_sources(tmp_path):
    seen = []
    made = generate(
        SOURCES, tmp_path / "set", singles=4, pairs=3, seed=1, size=24,
        on_progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    rows = [json.loads(line) for line in made.manifest.read_text().splitlines()]
    assert [row["set"] for row in rows] == ["patch_single"] * 4 + ["patch_pair"] * 3
    assert seen == [(done, 7) for done in range(1, 8)]
    for row, item in zip(rows, made.images, strict=True):
        assert set(row) == {"query", "sources", "set", "method"}
        assert made.manifest.parent / row["query"] == item.query
        with Image.open(item.query) as query:
            assert query.size == (24, 18)
        roles = [source["role"] for source in row["sources"]]
        assert roles == (["exemplar"] if len(roles) == 1 else ["structure", "appearance"])
        for written, source in zip(row["sources"], item.sources, strict=True):
            assert made.manifest.parent / written["image"] == source.image
            with Image.open(source.image) as image:
                assert image.tobytes() == dict(SOURCES)[source.name].tobytes()
        assert len({source.name for source in item.sources}) == len(item.sources)


def test_every_source_is_used_before_any_is_used_twice(tmp_path):
    made = generate(SOURCES, tmp_path, singles=3, pairs=3, seed=2, size=8)
    for of_one_kind in (made.images[:3], made.images[3:]):
        assert {image.sources[0].name for image in of_one_kind} == {"alder", "birch", "cedar"}


def test_the_same_arguments_write_the_same_files(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    for folder, seed in zip(folders, (7, 7, 8), strict=True):
        generate(SOURCES, folder, singles=2, pairs=1, seed=seed, size=16)
    contents = [
        {p.relative_to(f): p.read_bytes() for p in sorted(f.rglob("*")) if p.is_file()}
        for f in folders
    ]
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_nothing_asked_for_is_an_empty_set(tmp_path):
    made = generate([], tmp_path, singles=0, pairs=0, seed=0)
    assert made.images == ()
    assert made.manifest.read_text() == ""


@pytest.mark.parametrize(
    ("sources", "singles", "pairs", "message"),
    [
        ([("../up", SOURCES[0][1])], 1, 0, "cannot be a file name"),
        ([SOURCES[0], SOURCES[0]], 1, 0, "give each a name of its own"),
        (SOURCES, -1, 0, "are counts"),
        ([], 1, 0, "1 sources or more"),
        (SOURCES[:1], 0, 1, "2 sources or more"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    tmp_path, sources, singles, pairs, message
):
    with pytest.raises(ValueError, match=message):
        generate(sources, tmp_path / "set", singles=singles, pairs=pairs, seed=0)
    assert not (tmp_path / "set").exists()
