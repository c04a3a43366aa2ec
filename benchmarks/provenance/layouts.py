"""CUB-200-2011, Waterbirds and UCF101-24 as they are published, read into plain rows.

Nothing is downloaded. Pickles are read without running anything in them but what builds arrays.
"""

from __future__ import annotations

import csv
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from refusals import Unusable

Floats = NDArray[np.float64]
Part = Literal["train", "validation", "test"]
_NUMPY = np.empty(0).__reduce__()[0].__module__.rpartition(".")[0]  # where arrays are built
_BUILDERS = frozenset(
    {
        ("multiarray", "_reconstruct"),
        ("multiarray", "scalar"),
        ("numeric", "_frombuffer"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("collections", "OrderedDict"),
        ("_codecs", "encode"),
    }
)
_HOMES = ("numpy", "collections", "_codecs")


class OtherLayout(Unusable):
    """A folder or file is not laid out as published; the message says what was looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture of one of the two sets of birds.

    Attributes:
        file: to read.
        name: as the set calls it.
        label: class, from 0.
        part: of the set.
        box: `(4,)` left, top, right, bottom in pixels; None where the set has none.
        place: kind of ground, from 0; None where the set does not say.
    """

    file: Path
    name: str
    label: int
    part: Part
    box: Floats | None = None
    place: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """Skeletons of a video and its true tubes.

    Attributes:
        name: such as `v_Basketball_g01_c01`.
        label: action, from 0.
        part: of split 1.
        points: `(p, f, e, 2)` joints in pixels.
        scores: `(p, f, e)` confidence.
        size: width and height of a frame.
        truths: `(n, 5)` rows of frame, from 1, and box, for each person who acts.
    """

    name: str
    label: int
    part: Part
    points: Floats
    scores: Floats
    size: tuple[float, float]
    truths: tuple[Floats, ...]


def read_cub(folder: Path) -> list[Picture]:
    """`CUB_200_2011`: every tenth training picture of a class is for validation.

    Raises:
        OtherLayout: a file of the set is not there.
    """
    names, labels, trained, boxes = (
        _numbered(folder / f"{name}.txt")
        for name in ("images", "image_class_labels", "train_test_split", "bounding_boxes")
    )
    counts: dict[str, int] = {}
    pictures = []
    for number, [name] in names.items():
        part: Part = "test"
        if trained[number][0] == "1":
            counts[labels[number][0]] = counts.get(labels[number][0], 0) + 1
            part = "validation" if counts[labels[number][0]] % 10 == 0 else "train"
        left, top, width, height = map(float, boxes[number])
        box = np.array([left, top, left + width, top + height])
        label = int(labels[number][0]) - 1
        pictures.append(Picture(folder / "images" / name, name, label, part, box))
    return pictures


def read_waterbirds(folder: Path) -> list[Picture]:
    """`waterbird_complete95_forest2water2`: `metadata.csv` and the pictures that it names.

    Raises:
        OtherLayout: the table is not there, or lacks a column.
    """
    path = folder / "metadata.csv"
    if not path.is_file():
        raise OtherLayout(f"{path} is not there: give the folder that has metadata.csv in it")
    parts: tuple[Part, ...] = ("train", "validation", "test")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    missing = {"img_filename", "y", "split", "place"} - set(rows[0] if rows else ())
    if missing:
        raise OtherLayout(f"{path} has no column {', '.join(sorted(missing))}")
    return [
        Picture(
            folder / row["img_filename"],
            row["img_filename"],
            int(row["y"]),
            parts[int(row["split"])],
            place=int(row["place"]),
        )
        for row in rows
    ]


def read_ucf(skeletons: Path, truths: Path) -> tuple[list[Video], list[str]]:
    """Videos that both files know, and the names of the actions.

    Args:
        skeletons: pickle of PYSKL and MMAction2 (`ucf101_hrnet.pkl`, `ucf101_2d.pkl`): a mapping
            with `annotations`, of each video `frame_dir`, `img_shape`, `keypoint` `(p, f, e, 2)`
            and `keypoint_score` `(p, f, e)`.
        truths: `UCF101v2-GT.pkl` of the action tubelet detectors: `labels`, `gttubes`,
            `train_videos`, `test_videos`, `resolution`. Split 1 is used; of its training videos
            every tenth is for validation.

    Raises:
        OtherLayout: a file is something else.
    """
    drawn, known = (
        _unpickled(skeletons, ["annotations"]),
        _unpickled(truths, ["labels", "gttubes", "train_videos", "test_videos", "resolution"]),
    )
    parts: dict[str, Part] = {}
    for number, name in enumerate(known["train_videos"][0]):
        parts[_last(name)] = "validation" if number % 10 == 9 else "train"
    parts |= {_last(name): "test" for name in known["test_videos"][0]}
    tubes = {_last(name): each for name, each in known["gttubes"].items()}
    sizes = {_last(name): each for name, each in known["resolution"].items()}
    videos = []
    for each in drawn["annotations"]:
        name = _last(each["frame_dir"])
        if name not in parts or name not in tubes:
            continue
        (label, own), *_ = tubes[name].items()
        height, width = sizes[name]
        scale = np.array([width / each["img_shape"][1], height / each["img_shape"][0]])
        videos.append(
            Video(
                name,
                int(label),
                parts[name],
                np.asarray(each["keypoint"], np.float64)[..., :2] * scale,
                np.asarray(each["keypoint_score"], np.float64),
                (float(width), float(height)),
                tuple(np.asarray(tube, np.float64) for tube in own),
            )
        )
    if not videos:
        raise OtherLayout(f"no video of {skeletons} is in split 1 of {truths}")
    return videos, [str(each) for each in known["labels"]]


def person_tubes(video: Video, least: float = 0.3, margin: float = 0.1) -> list[Floats]:
    """Of each person the rows of frame, from 1, and box, `(n, 5)`.

    Args:
        video: of skeletons.
        least: confidence of the joints that count; a frame needs three of them.
        margin: share of a box by which it is larger than its joints on each side.
    """
    found = []
    for points, scores in zip(video.points, video.scores, strict=True):
        rows = []
        for frame, sure in enumerate(scores >= least):
            if sure.sum() >= 3:
                low, high = points[frame, sure].min(axis=0), points[frame, sure].max(axis=0)
                grown = margin * (high - low)
                rows.append([frame + 1, *(low - grown), *(high + grown)])
        found.append(np.array(rows, np.float64).reshape(-1, 5))
    return found


class _Arrays(pickle.Unpickler):
    """Builds arrays and plain values, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        inner = module.rpartition(".")[2]
        if (inner, name) not in _BUILDERS or module.partition(".")[0] not in _HOMES:
            raise pickle.UnpicklingError(f"{module}.{name} is neither an array nor plain data")
        if inner in ("multiarray", "numeric"):
            module = f"{_NUMPY}.{inner}"
        return super().find_class(module, name)


def read_indices(path: Path) -> list[int]:
    """A pickled list or array of places in a set.

    Raises:
        OtherLayout: it is something else.
    """
    try:
        with path.open("rb") as file:
            found = _Arrays(file, encoding="latin1").load()
        return [int(place) for place in found]
    except (OSError, pickle.UnpicklingError, EOFError, TypeError, ValueError) as error:
        raise OtherLayout(f"{path} is no list of places: {error}") from error


def _unpickled(path: Path, keys: Sequence[str]) -> Mapping[str, Any]:
    """A mapping with these keys, also of Python 2."""
    try:
        with path.open("rb") as file:
            found = _Arrays(file, encoding="latin1").load()
    except (OSError, pickle.UnpicklingError, EOFError) as error:
        raise OtherLayout(f"{path} cannot be read: {error}") from error
    missing = [key for key in keys if not isinstance(found, Mapping) or key not in found]
    if missing:
        raise OtherLayout(f"{path} lacks {', '.join(missing)}: it is another pickle")
    return found


def _numbered(path: Path) -> dict[str, list[str]]:
    """What follows the number of each line."""
    if not path.is_file():
        raise OtherLayout(f"{path} is not there: give the folder that is called CUB_200_2011")
    lines = (line.split() for line in path.read_text().splitlines() if line)
    return {number: rest for number, *rest in lines}


def _last(name: str) -> str:
    return name.rpartition("/")[2]
