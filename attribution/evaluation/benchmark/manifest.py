"""Reads a folder of queries with a manifest of their sources; `attribution generate` writes one.

`manifest.jsonl` has a row a query: `query` and `sources: [{image, role}]`, paths relative to the
manifest; `set` and `method` are optional, other fields are left alone. Average precision is cut at
rank 100.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attribution.evaluation.benchmark.cases import (
    BadBenchmark,
    Benchmark,
    Case,
    Truth,
    file_picture,
)

MANIFEST = "manifest.jsonl"
CUT = 100


def read_manifest_folder(folder: Path) -> Benchmark:
    """Read the cases of a folder; its gallery is the sources that they name, sorted by name.

    Raises:
        BadBenchmark: no manifest, no rows, a row without what it needs; names the file and the
            line.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise BadBenchmark(f"{manifest}: no such file")
    cases = tuple(_case(row, folder, place) for place, row in manifest_rows(manifest))
    if not cases:
        raise BadBenchmark(f"{manifest}: empty; give a row a query")
    names = sorted({truth.key for case in cases for truth in case.truths})
    sources = tuple(file_picture(name, folder / name) for name in names)
    return Benchmark(folder.resolve().name, cases, sources, cut=CUT)


def manifest_rows(manifest: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of a manifest file and where it stands.

    Raises:
        BadBenchmark: a line that is no JSON object.
    """
    with manifest.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = f"{manifest}, line {number}"
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                raise BadBenchmark(f"{place}: not valid JSON ({error})") from error
            if not isinstance(row, dict):
                raise BadBenchmark(f"{place}: not a JSON object")
            yield place, row


def _case(row: dict[str, Any], folder: Path, place: str) -> Case:
    query, sources = row.get("query"), row.get("sources")
    if not isinstance(query, str) or not isinstance(sources, list):
        raise BadBenchmark(f'{place}: needs "query", a path, and "sources", a list')
    truths = tuple(_truth(source, place) for source in sources)
    return Case(
        query=folder / query,
        truths=truths,
        set=str(row.get("set") or "all"),
        method=str(row.get("method") or ""),
    )


def _truth(source: Any, place: str) -> Truth:
    if not isinstance(source, dict) or not isinstance(source.get("image"), str):
        raise BadBenchmark(f'{place}: each of "sources" needs "image", a path')
    return Truth(source["image"], str(source.get("role") or ""))
