"""Aircraft, Cars, CUB and Pets: the few pictures of the paper's splits, and the sets they are of.

The few are those of Diff-II, `SET/5shot/train/CLASS/NUMBER.jpg`; whole sets are as they are
published, under the folders that torchvision gives them. Nothing is downloaded. Labels are the
order of each set's own list of classes, and folders of the few are matched by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from shared import OtherLayout, read_cub, read_indices

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and its class.

    Attributes:
        file: to read.
        label: from 0.
    """

    file: Path
    label: int


@dataclass(frozen=True, slots=True)
class Whole:
    """A set as published.

    Attributes:
        classes: as the folders of the few are called, in the order of labels.
        learnt: training pictures, in the order that indices of a validation split count.
        test: the others.
    """

    classes: tuple[str, ...]
    learnt: tuple[Picture, ...]
    test: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class PaperSet:
    """What a row of the paper is about.

    Attributes:
        descriptor: what every subject is, in prompts.
        folder: of the few, beside those of other sets.
        validated: pictures of a class in the validation split; the authors have 1,600, 1,960,
            2,000 and 592 in all.
        read: from the folder of the whole set.
        paper: accuracy by backbone, with five real pictures a class, of real pictures alone where
            that is known and with 100 synthetic ones.
    """

    descriptor: str
    folder: str
    validated: int
    read: Callable[[Path], Whole]
    paper: Mapping[str, tuple[float | None, float]]


def read_few(folder: Path, classes: Sequence[str]) -> tuple[Picture, ...]:
    """`train/CLASS/NUMBER.jpg`, class by class, numbers rising.

    Raises:
        OtherLayout: a class has no folder or no picture, or a folder is of no class.
    """
    place = folder / "train"
    if not place.is_dir():
        raise OtherLayout(f"{place} is not there: give the folder that is called 5shot or 10shot")
    strangers = {each.name for each in place.iterdir() if each.is_dir()} - set(classes)
    if strangers:
        raise OtherLayout(f"{place / min(strangers)}: the set has no class of this name")
    found = []
    for label, name in enumerate(classes):
        files = [each for each in (place / name).glob("*") if each.suffix.lower() in EXTENSIONS]
        if not files:
            raise OtherLayout(f"{place / name} has no pictures")
        found += [Picture(file, label) for file in sorted(files, key=_number)]
    return tuple(found)


def validation_of(
    whole: Whole, few: Sequence[Picture], each: int, indices: Path | None = None, seed: int = 0
) -> tuple[Picture, ...]:
    """Training pictures that the epoch and the settings are chosen by.

    Args:
        whole: the set.
        few: pictures that are learnt from; files with the same bytes are left out.
        each: of a class, where there are as many, drawn at random.
        indices: the authors' split, a pickled list of places in `learnt`; instead of drawing.
        seed: of the draw.
    """
    known = {_digest(each.file) for each in few}
    if indices is not None:
        theirs = [whole.learnt[place] for place in read_indices(indices)]
        return tuple(one for one in theirs if _digest(one.file) not in known)
    rng, found = np.random.default_rng(seed), []
    for label in range(len(whole.classes)):
        own = [one for one in whole.learnt if one.label == label]
        own = [one for one in own if _digest(one.file) not in known]
        chosen = rng.permutation(len(own))[:each]
        found += [own[place] for place in sorted(chosen.tolist())]
    return tuple(found)


def read_aircraft(folder: Path) -> Whole:
    """`fgvc-aircraft-2013b`, by variant."""
    data = _there(folder, "fgvc-aircraft-2013b") / "data"
    variants = _lines(data / "variants.txt")
    places = {name: label for label, name in enumerate(variants)}

    def part(name: str) -> tuple[Picture, ...]:
        rows = (row.split(" ", 1) for row in _lines(data / f"images_variant_{name}.txt"))
        return tuple(Picture(data / "images" / f"{file}.jpg", places[kind]) for file, kind in rows)

    return Whole(tuple(map(_tidy, variants)), part("trainval"), part("test"))


def read_cars(folder: Path) -> Whole:
    """`stanford_cars`, with labels of the test pictures."""
    place = _there(folder, "stanford_cars")
    names = _mat(place / "devkit" / "cars_meta.mat")["class_names"].tolist()

    def part(annotations: Path, pictures: str) -> tuple[Picture, ...]:
        rows = np.atleast_1d(_mat(annotations)["annotations"])
        return tuple(Picture(place / pictures / str(row["fname"]), int(row["class"]) - 1)
                     for row in rows)  # fmt: skip

    return Whole(
        tuple(_tidy(name).lower() for name in names),
        part(place / "devkit" / "cars_train_annos.mat", "cars_train"),
        part(place / "cars_test_annos_withlabels.mat", "cars_test"),
    )


def read_birds(folder: Path) -> Whole:
    """`CUB_200_2011`, with its own split."""
    rows = read_cub(_there(folder, "CUB_200_2011"))
    names = {row.label: row.name.partition("/")[0].partition(".")[2] for row in rows}
    learnt = tuple(Picture(row.file, row.label) for row in rows if row.part != "test")
    test = tuple(Picture(row.file, row.label) for row in rows if row.part == "test")
    return Whole(tuple(names[label] for label in sorted(names)), learnt, test)


def read_pets(folder: Path) -> Whole:
    """`oxford-iiit-pet`, by breed."""
    place, names = _there(folder, "oxford-iiit-pet"), {}
    parts = []
    for part in ("trainval", "test"):
        rows = [row.split() for row in _lines(place / "annotations" / f"{part}.txt")]
        names |= {int(label) - 1: name.rpartition("_")[0] for name, label, *_ in rows}
        parts.append(tuple(Picture(place / "images" / f"{name}.jpg", int(label) - 1)
                           for name, label, *_ in rows))  # fmt: skip
    return Whole(tuple(names[label] for label in sorted(names)), parts[0], parts[1])


SETS: Mapping[str, PaperSet] = {
    "aircraft": PaperSet("aircraft", "aircraft", 16, read_aircraft,
                         {"clip": (0.4437, 0.5737), "resnet50": (None, 0.6031),
                          "mae": (None, 0.6121)}),
    "cars": PaperSet("car", "car", 10, read_cars,
                     {"clip": (0.7901, 0.8841), "resnet50": (None, 0.8864), "mae": (None, 0.8848)}),
    "cub": PaperSet("bird", "cub", 10, read_birds,
                    {"clip": (0.6772, 0.7543), "resnet50": (None, 0.7138), "mae": (None, 0.7321)}),
    "pets": PaperSet("pet", "pet", 16, read_pets,
                     {"clip": (0.9276, 0.9273), "resnet50": (None, 0.8700), "mae": (None, 0.8672)}),
}  # fmt: skip
"""By the name of the command; figures as notes on the paper give them."""


def _tidy(name: str) -> str:
    """As folders of the few are called: no blanks, no slashes."""
    return name.strip().replace(" ", "_").replace("/", "_")


def _there(folder: Path, name: str) -> Path:
    """The folder itself, or the one of this name in it."""
    place = folder if folder.name == name else folder / name
    if not place.is_dir():
        raise OtherLayout(f"{place} is not there: give {name}, or the folder that it lies in")
    return place


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise OtherLayout(f"{path} is not there")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _mat(path: Path) -> Mapping[str, np.ndarray]:
    if not path.is_file():
        raise OtherLayout(f"{path} is not there")
    found: Mapping[str, np.ndarray] = loadmat(path, squeeze_me=True)
    return found


def _number(file: Path) -> tuple[int, str]:
    return (int(file.stem) if file.stem.isdigit() else 0, file.name)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
