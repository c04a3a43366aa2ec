"""Which format a path has, and its reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from attribution.evaluation.benchmark.abc_layout import read_abc_layout
from attribution.evaluation.benchmark.cases import BadBenchmark, Benchmark
from attribution.evaluation.benchmark.distractors import read_distractors
from attribution.evaluation.benchmark.instances import image_files, read_instances, subject_folders
from attribution.evaluation.benchmark.manifest import MANIFEST, read_manifest_folder

Format = Literal["manifest", "abc", "instances"]


def read_benchmark(
    path: Path,
    *,
    kind: Format | None = None,
    root: Path | None = None,
    distractors: Path | None = None,
) -> Benchmark:
    """Read a benchmark of any format.

    Args:
        path: the data.
        kind: its format; found out by default.
        root: what the paths of the AbC layout are relative to.
        distractors: see `read_distractors`.

    Raises:
        BadBenchmark: unknown format, or the data cannot be read; says where.
    """
    kind = kind or detect(path)
    if kind == "manifest":
        benchmark = read_manifest_folder(path.parent if path.name == MANIFEST else path)
    elif kind == "abc":
        benchmark = read_abc_layout(path, root)
    else:
        benchmark = read_instances(path)
    if distractors is None:
        return benchmark
    return replace(benchmark, distractors=read_distractors(distractors))


def detect(path: Path) -> Format:
    """Tell the format of a file or folder by what is in it.

    Raises:
        BadBenchmark: it looks like none of them.
    """
    if path.name == MANIFEST or (path / MANIFEST).is_file():
        return "manifest"
    if path.suffix == ".json" or (path.is_dir() and any(path.glob("*.json"))):
        return "abc"
    if any(map(_has_images, subject_folders(path))):
        return "instances"
    raise BadBenchmark(
        f"{path}: neither a folder with {MANIFEST}, nor JSON files in the layout of AbC, nor a "
        "folder of subjects with images"
    )


def _has_images(subject: Path) -> bool:
    try:
        return bool(image_files(subject))
    except OSError:  # said of it when it is read
        return False
