"""Reads the published layout of AbC: JSON files of customised models and their exemplars.

"Evaluating Data Attribution for Text-to-Image Models" (Wang et al., ICCV 2023, arXiv 2306.09345).
A file is a list of entries, one a model: `exemplar`, the images it was tuned on; `synth`, its
samples by kind of prompt; `class_id` and `category`. Every sample is a query whose sources are all
exemplars of its model. A set is a file and a kind of prompt. Average precision is not cut.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attribution.evaluation.benchmark.cases import (
    BadBenchmark,
    Benchmark,
    Case,
    Truth,
    file_picture,
)

ROLE = "exemplar"


def read_abc_layout(path: Path, root: Path | None = None) -> Benchmark:
    """Read one JSON file, or all of a folder.

    Args:
        path: the file or the folder.
        root: what image paths are relative to; by default the first folder, from the file's own
            upwards, in which the first exemplar lies.

    Raises:
        BadBenchmark: no entries, or an entry without what it needs; names the file and the entry.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise BadBenchmark(f"{path}: no .json file in it")
    cases: list[Case] = []
    groups: dict[str, frozenset[str]] = {}
    folders: dict[str, Path] = {}
    for file in files:
        entries = _entries(file)
        base = root or _root(file, entries)
        for number, entry in enumerate(entries):
            place = f"{file}, entry {number + 1}"
            exemplars = _paths(entry.get("exemplar"), f'{place}: "exemplar"')
            # One class may have several models, so that class_id alone does not name one.
            group = f"{file.stem}/{number:04d} {entry.get('class_id') or ''}".rstrip()
            groups[group] = frozenset(exemplars)
            folders |= dict.fromkeys(exemplars, base)
            cases += _cases(entry, file.stem, group, exemplars, base, place)
    sources = tuple(file_picture(key, folders[key] / key) for key in sorted(folders))
    return Benchmark(path.resolve().stem, tuple(cases), sources, groups=groups)


def _entries(file: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadBenchmark(f"{file}: no such file") from error
    except (ValueError, RecursionError) as error:
        raise BadBenchmark(f"{file}: not valid JSON ({error})") from error
    if not isinstance(entries, list) or not entries:
        raise BadBenchmark(f"{file}: needs a list of entries, one a model")
    for number, entry in enumerate(entries, start=1):
        named = entry.get("exemplar") if isinstance(entry, dict) else None
        if not isinstance(named, list) or not named:
            raise BadBenchmark(f'{file}, entry {number}: needs "exemplar", a list of paths')
    return entries


def _root(file: Path, entries: Sequence[dict[str, Any]]) -> Path:
    first = str(entries[0]["exemplar"][0])
    for folder in file.resolve().parents:
        if (folder / first).is_file():
            return folder
    raise BadBenchmark(
        f"{file}, entry 1: {first} is in no folder above the file; give the folder that image "
        "paths are relative to as --root"
    )


def _paths(value: Any, what: str) -> list[str]:
    if not isinstance(value, list) or not value:
        raise BadBenchmark(f"{what} must be a list of paths, with one at least")
    for name in value:
        if not isinstance(name, str):
            raise BadBenchmark(f"{what}: {name!r} is not a path")
    return value


def _cases(
    entry: dict[str, Any], stem: str, group: str, exemplars: list[str], root: Path, place: str
) -> list[Case]:
    synth = entry.get("synth")
    if not isinstance(synth, dict) or not synth:
        raise BadBenchmark(f'{place}: needs "synth", lists of paths by kind of prompt')
    truths = tuple(Truth(key, ROLE) for key in dict.fromkeys(exemplars))
    return [
        Case(query=root / name, truths=truths, set=f"{stem}/{kind}", gallery=group)
        for kind, names in synth.items()
        for name in _paths(names, f'{place}: "synth" of kind {kind!r}')
    ]
