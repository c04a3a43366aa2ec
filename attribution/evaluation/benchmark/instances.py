"""Reads a folder of subjects, each a folder of images of it: leave-one-out instance retrieval.

Every image is a query in turn; the other images of its subject are its sources, and the image
itself is not ranked. A subject with one image only makes the search harder.
"""

from __future__ import annotations

from pathlib import Path

from attribution.evaluation.benchmark.cases import (
    BadBenchmark,
    Benchmark,
    Case,
    Picture,
    Truth,
    file_picture,
    unreadable_picture,
)
from attribution.ingestion.folders import is_picture, named_as_picture

SET = "instances"


def read_instances(folder: Path) -> Benchmark:
    """Read all subjects of a folder, images directly in it left out.

    A subject whose folder cannot be read is a source that cannot be, so that it is left out.

    Raises:
        BadBenchmark: no subjects, or a subject's folder without images; names it.
    """
    subjects = subject_folders(folder)
    if not subjects:
        raise BadBenchmark(f"{folder}: no folders in it; give a folder of images for each subject")
    cases: list[Case] = []
    sources: list[Picture] = []
    for subject in subjects:
        try:
            files = image_files(subject)
        except OSError as error:
            reason = f"cannot be read ({error.strerror or error})"
            sources.append(unreadable_picture(f"{subject.name}/", str(subject), reason))
            continue
        if not files:
            raise BadBenchmark(f"{subject}: no images in it; remove it or put images there")
        keys = {file: file.relative_to(folder).as_posix() for file in files}
        sources += [file_picture(key, file) for file, key in keys.items()]
        for file, key in keys.items():
            truths = tuple(Truth(other) for other in keys.values() if other != key)
            cases.append(Case(file, truths, SET, excluded=frozenset({key})))
    return Benchmark(folder.resolve().name, tuple(cases), tuple(sources), alike=True)


def subject_folders(folder: Path) -> list[Path]:
    """Folders in a folder, hidden ones left out, by name."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in inside if path.is_dir() and not path.name.startswith("."))


def image_files(folder: Path) -> list[Path]:
    """Images directly in a folder, by name; their content decides, as on ingest."""
    shown = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in shown if _may_be_picture(path))


def _may_be_picture(path: Path) -> bool:
    try:
        return is_picture(path) or (named_as_picture(path) and not path.is_dir())
    except OSError:  # said of the image when it is to be read, as of a pipe or a dangling link
        return True
