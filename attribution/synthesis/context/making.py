"""Makes what a plan says, some images at a time, so that a kill at any point changes nothing.

A folder holds `plan.jsonl`, the images in `queries`, their exemplars in `sources` and
`manifest.jsonl`, which has a row an image in the form that `attribution.evaluation` reads and
grows as they are made. Knows no model: whoever draws the images is given.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from attribution.calibration.picture_copies import is_copy
from attribution.files import replacing
from attribution.synthesis.context.bank import LARGEST_SEED, generator_of
from attribution.synthesis.context.plan import BadPlan, PlannedImage
from attribution.synthesis.dataset import MANIFEST_NAME, known_source
from models.background import thumbnail

_log = logging.getLogger(__name__)

PLAN, LEFT_OUT = "plan.jsonl", "left_out.jsonl"
ATTEMPTS = 3

Draw = Callable[[Sequence[tuple[str, int]]], Sequence[Image.Image]]
"""An image from each prompt and seed; the same ones together give the same pixels."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a run has made.

    Attributes:
        manifest: the rows of all images.
        images: how many there are.
        left_out: how many were left out because every attempt was a copy of an exemplar.
    """

    manifest: Path
    images: int
    left_out: int


def make_images(
    plan: Sequence[PlannedImage],
    pictures: Mapping[str, Image.Image],
    draw: Draw,
    out: Path,
    *,
    at_once: int = 1,
    source_ids: Mapping[str, str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Made:
    """Make the planned images that are not there yet.

    An image that is a copy of one of its exemplars, by the thumbnail test that keeps copies out of
    the background, is drawn again with another seed, and left out after `ATTEMPTS`.

    Args:
        plan: what to make.
        pictures: every exemplar by the name that the plan uses.
        draw: makes images.
        out: folder; one that holds part of the same plan is gone on with.
        at_once: images that are drawn together: the first so many of the plan, the next, and so on,
            whatever is there already, since rounding may depend on what is drawn together.
        source_ids: of the exemplars that are sources of a catalog, by name.
        on_progress: called with (done, total) after each image.

    Raises:
        BadPlan: the folder holds another plan, or an exemplar has no picture.
    """
    missing = sorted({name for image in plan for name in image.exemplars} - set(pictures))
    if missing:
        raise BadPlan(f"{missing[0]} is an exemplar of the plan, and no such picture is given")
    (out / "queries").mkdir(parents=True, exist_ok=True)
    _keep_plan(plan, out / PLAN)
    files = _keep_exemplars(plan, pictures, out)
    marks = {name: thumbnail(pictures[name]) for name in files}
    manifest = out / MANIFEST_NAME
    done, gone = _whole_rows(manifest), _whole_rows(out / LEFT_OUT)
    finished = {row["number"] for row in [*done, *gone]}
    made, left_out = len(done), len(gone)
    for image, first in _drawn(plan, finished, draw, at_once):
        found = _first_of_its_own(image, first, draw, [marks[name] for name in image.exemplars])
        if found is None:
            _append(out / LEFT_OUT, {"number": image.number, "reason": "copies of an exemplar"})
            left_out += 1
        else:
            picture, seed = found
            query = f"queries/{image.number:05d}.png"
            with replacing(out / query, aside=out / ".image.tmp") as file:
                picture.save(file, "PNG")
            _append(manifest, _row(image, query, files, source_ids or {}, seed))
            made += 1
        if on_progress is not None:
            on_progress(made + left_out, len(plan))
    _log.info("made %d images in %s, left out %d", made, out, left_out)
    return Made(manifest, made, left_out)


def _drawn(
    plan: Sequence[PlannedImage], finished: Collection[int], draw: Draw, at_once: int
) -> Iterator[tuple[PlannedImage, Image.Image]]:
    """Every image that is not finished, with its first attempt."""
    for start in range(0, len(plan), at_once):
        together = plan[start : start + at_once]
        if all(image.number in finished for image in together):
            continue
        pictures = draw([(image.prompt, image.seed) for image in together])
        for image, picture in zip(together, pictures, strict=True):
            if image.number not in finished:
                yield image, picture


def _first_of_its_own(
    image: PlannedImage, first: Image.Image, draw: Draw, exemplars: Sequence[Any]
) -> tuple[Image.Image, int] | None:
    """The first attempt that copies no exemplar, and its seed."""
    picture, seed = first, image.seed
    again = generator_of(image.seed, "again").integers(LARGEST_SEED, size=ATTEMPTS - 1)
    for other in [*again.tolist(), None]:
        if not any(is_copy(thumbnail(picture), each) for each in exemplars):
            return picture, seed
        if other is not None:
            seed = other
            [picture] = draw([(image.prompt, seed)])
    return None


def _keep_plan(plan: Sequence[PlannedImage], path: Path) -> None:
    text = "".join(json.dumps(image.document) + "\n" for image in plan)
    try:
        if path.read_text(encoding="utf-8") == text:
            return
    except FileNotFoundError:
        with replacing(path) as file:
            file.write(text.encode())
        return
    raise BadPlan(f"{path}: holds another plan; give an empty folder, or the same arguments")


def _keep_exemplars(
    plan: Sequence[PlannedImage], pictures: Mapping[str, Image.Image], out: Path
) -> dict[str, str]:
    """Write every exemplar of the plan, and say which file is which."""
    folder = out / "sources"
    folder.mkdir(exist_ok=True)
    names = sorted({name for image in plan for name in image.exemplars})
    files = {name: f"sources/{place:05d}.png" for place, name in enumerate(names)}
    for name, path in files.items():
        if not (out / path).is_file():
            with replacing(out / path, aside=out / ".image.tmp") as file:
                pictures[name].convert("RGB").save(file, "PNG")
    return files


def _row(
    image: PlannedImage,
    query: str,
    files: Mapping[str, str],
    source_ids: Mapping[str, str],
    seed: int,
) -> dict[str, Any]:
    sources = [
        {"image": files[name], "role": "exemplar", **known_source(name, source_ids)}
        for name in image.exemplars
    ]
    kind = "diffusion_one" if len(sources) == 1 else "diffusion_class"
    planned = image.document | {"seed": seed}
    return {"query": query, "sources": sources, "set": kind, "method": image.model, **planned}


def _append(path: Path, row: dict[str, Any]) -> None:
    with path.open("ab") as file:
        file.write(json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _whole_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, without one that a kill has cut short, which is cut off."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.splitlines()]
