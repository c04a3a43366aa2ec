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


def rows_of(manifest):
    return [json.loads(line) for line in manifest.read_text().splitlines()]


def test_the_manifest_names_every_query_and_its_true_sources(tmp_path):
    seen, folder = [], tmp_path / "set"
    manifest = generate(
        SOURCES, folder, singles=4, pairs=3, seed=1, size=24,
        on_progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert manifest.parent == folder
    rows = rows_of(manifest)
    assert [row["set"] for row in rows] == ["patch_single"] * 4 + ["patch_pair"] * 3
    assert seen == [(done, 7) for done in range(1, 8)]
    assert len({row["query"] for row in rows}) == 7
    for row in rows:
        assert set(row) == {"query", "sources", "set", "method"}
        with Image.open(folder / row["query"]) as query:
            assert query.size == (24, 18)
        roles = [source["role"] for source in row["sources"]]
        assert roles == (["exemplar"] if len(roles) == 1 else ["structure", "appearance"])
        files = [folder / source["image"] for source in row["sources"]]
        for file in files:
            with Image.open(file) as image:
                assert image.tobytes() == dict(SOURCES)[file.stem].tobytes()
        assert len(set(files)) == len(files)


def test_every_source_is_used_before_any_is_used_twice(tmp_path):
    rows = rows_of(generate(SOURCES, tmp_path, singles=3, pairs=3, seed=2, size=8))
    for of_one_kind in (rows[:3], rows[3:]):
        used = {row["sources"][0]["image"] for row in of_one_kind}
        assert used == {f"sources/{name}.png" for name in ("alder", "birch", "cedar")}


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
    assert generate([], tmp_path, singles=0, pairs=0, seed=0).read_text() == ""


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
