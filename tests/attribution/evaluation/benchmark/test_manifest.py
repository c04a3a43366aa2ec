"""Folders with a manifest: what is read, and how a bad row is named."""

import json

import pytest
from PIL import Image

from attribution.evaluation.benchmark.cases import BadBenchmark, Truth
from attribution.evaluation.benchmark.manifest import read_manifest_folder
from attribution.synthesis import generate


def write(folder, rows):
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def folder(tmp_path, draw):
    for seed, name in enumerate(["q0", "q1", "q2", "s0", "s1"]):
        draw(tmp_path / "images" / f"{name}.jpg", seed)
    return tmp_path


def row(query, *sources, **others):
    named = [{"image": f"images/{name}.jpg", "role": role} for name, role in sources]
    return {"query": f"images/{query}.jpg", "sources": named, **others}


def test_rows_become_cases_and_their_sources_the_gallery(folder):
    write(
        folder,
        [
            row("q0", ("s1", "structure"), ("s0", "appearance"), set="mixed", method="made"),
            row("q1", set="no_source", method=None),
            row("q2", ("s1", None), split="ignored"),
        ],
    )
    found = read_manifest_folder(folder)
    assert found.cut == 100
    assert [source.key for source in found.sources] == ["images/s0.jpg", "images/s1.jpg"]
    first, second, third = found.cases
    assert first.query == folder / "images/q0.jpg"
    assert first.truths == (
        Truth("images/s1.jpg", "structure"),
        Truth("images/s0.jpg", "appearance"),
    )
    assert (first.set, first.method, first.gallery) == ("mixed", "made", None)
    assert (second.truths, second.method) == ((), "")
    assert (third.set, third.truths) == ("all", (Truth("images/s1.jpg", ""),))
    assert found.ranked == (first, third)
    assert found.sources[0].load().size == (40, 32)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a JSON object"),
        ("{}", 'needs "query"'),
        ('{"query": "images/q0.jpg"}', '"sources", a list'),
        ('{"query": "images/q0.jpg", "sources": [{"role": "style"}]}', 'needs "image"'),
        ('{"query": "images/q0.jpg", "sources": ["images/s0.jpg"]}', 'needs "image"'),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(folder, line, says):
    write(folder, [row("q0", ("s0", "style"))])
    manifest = folder / "manifest.jsonl"
    manifest.write_text(manifest.read_text() + "\n" + line + "\n")
    with pytest.raises(BadBenchmark) as caught:
        read_manifest_folder(folder)
    assert str(caught.value).startswith(f"{manifest}, line 3: ")
    assert says in str(caught.value)


def test_a_line_in_another_encoding_is_named_and_a_mark_of_utf_8_is_read_over(folder):
    write(folder, [row("q0", ("s0", "style"))])
    manifest = folder / "manifest.jsonl"
    rows = b"\xef\xbb\xbf" + manifest.read_bytes()
    manifest.write_bytes(rows)
    assert len(read_manifest_folder(folder).cases) == 1
    manifest.write_bytes(rows + b'{"query": "\xe9t\xe9.jpg", "sources": []}\n')
    with pytest.raises(BadBenchmark, match=r"line 2: not valid JSON \('utf-8'"):
        read_manifest_folder(folder)


def test_no_manifest_and_an_empty_one_are_named(tmp_path):
    with pytest.raises(BadBenchmark, match=r"manifest\.jsonl: no such file"):
        read_manifest_folder(tmp_path)
    with pytest.raises(BadBenchmark, match=r"manifest\.jsonl: empty"):
        read_manifest_folder(write(tmp_path, []))


def test_it_reads_what_generate_writes(tmp_path, draw):
    images = []
    for seed in range(3):
        with Image.open(draw(tmp_path / "photos" / f"{seed}.png", seed)) as image:
            images.append((f"photo{seed}", image.convert("RGB")))
    generate(images, tmp_path / "made", singles=2, pairs=1, seed=0, size=32)
    found = read_manifest_folder(tmp_path / "made")
    assert [len(case.truths) for case in found.cases] == [1, 1, 2]
    assert {truth.role for truth in found.cases[2].truths} == {"structure", "appearance"}
