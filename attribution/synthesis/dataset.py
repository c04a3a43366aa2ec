"""A folder of synthetic images whose true sources are known, with a manifest that says so.

The manifest has the form that `attribution.evaluation` reads: one JSON row a query, paths relative
to the manifest. Knows the generator, no catalog and no encoder.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from attribution.synthesis.patches import from_one, from_two

_log = logging.getLogger(__name__)

METHOD = "patch-nearest-neighbours"
MANIFEST_NAME = "manifest.jsonl"

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LARGEST_SEED = 2**63


class UnusableSources(ValueError):
    """The sources given cannot make what is asked; the message says why."""


def generate(
    sources: Sequence[tuple[str, Image.Image]],
    out: Path,
    *,
    singles: int,
    pairs: int,
    seed: int,
    size: int = 192,
    source_ids: Mapping[str, str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write `singles` one-source and `pairs` two-source images, their sources and a manifest.

    Every source is used once before any is used twice. The same arguments write the same files on
    the same machine. The manifest grows with the images, so an interrupted run can be read.

    Args:
        sources: name and image each; a name becomes a file name, so it is made of letters,
            digits, `_`, `-` and `.`, and unique.
        out: folder, made if missing; files of the same names are overwritten.
        singles: images made by `from_one`.
        pairs: images made by `from_two`.
        seed: of everything random.
        size: long side of the synthetic images in pixels. Sources keep their own.
        source_ids: of the catalog's sources among them, by name; the manifest says them, so that
            calibration knows which sources they are.
        on_progress: called with (done, total) after each image.

    Returns:
        The manifest.

    Raises:
        UnusableSources: a bad or repeated name, a negative count, or too few sources.
    """
    _require_usable(sources, singles, pairs)
    images = dict(sources)
    for folder in ("sources", "queries"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        image.convert("RGB").save(out / _source_file(name))
    rng = np.random.default_rng(seed)
    plan = _plan(list(images), singles, pairs, rng)
    manifest = out / MANIFEST_NAME
    with manifest.open("w", encoding="utf-8") as rows:
        for number, names in enumerate(plan):
            drawn = int(rng.integers(_LARGEST_SEED))
            picture = _made([images[name] for name in names], drawn, size)
            query = f"queries/{number:05d}.png"
            picture.save(out / query)
            rows.write(json.dumps(_row(query, names, source_ids or {})) + "\n")
            rows.flush()
            if on_progress is not None:
                on_progress(number + 1, len(plan))
    _log.info("wrote %d synthetic images of %d sources to %s", len(plan), len(sources), out)
    return manifest


def _require_usable(sources: Sequence[tuple[str, Image.Image]], singles: int, pairs: int) -> None:
    names = [name for name, _ in sources]
    bad = sorted(name for name in names if not _SAFE_NAME.fullmatch(name))
    if bad:
        raise UnusableSources(
            f"{bad[0]!r} cannot be a file name; use letters, digits, '_', '-' and '.' only"
        )
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise UnusableSources(f"two sources are called {repeated!r}; give each a name of its own")
    if singles < 0 or pairs < 0:
        raise UnusableSources(f"singles and pairs are counts, not {singles} and {pairs}")
    needed = 2 if pairs else min(singles, 1)
    if len(sources) < needed:
        raise UnusableSources(f"{needed} sources or more are needed for this, not {len(sources)}")


def _plan(
    names: Sequence[str], singles: int, pairs: int, rng: np.random.Generator
) -> list[tuple[str, ...]]:
    """The sources of each image to make: one name, or a structure and an appearance."""
    ones = [(name,) for name in _in_turns(names, singles, rng)]
    structures = _in_turns(names, pairs, rng)
    twos = [
        (structure, str(rng.choice([name for name in names if name != structure])))
        for structure in structures
    ]
    return [*ones, *twos]


def _in_turns(names: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """`count` names in random order, each used once before any is used again."""
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += [names[i] for i in rng.permutation(len(names))]
    return chosen[:count]


def _made(sources: Sequence[Image.Image], seed: int, size: int) -> Image.Image:
    if len(sources) == 1:
        return from_one(sources[0], seed=seed, size=size)
    structure, appearance = sources
    return from_two(structure, appearance, seed=seed, size=size)


def _row(query: str, names: Sequence[str], source_ids: Mapping[str, str]) -> dict[str, Any]:
    """One line of the manifest: a query and its true sources, each by its part."""
    single = len(names) == 1
    roles = ("exemplar",) if single else ("structure", "appearance")
    return {
        "query": query,
        "sources": [
            {"image": _source_file(name), "role": role, **_known(name, source_ids)}
            for name, role in zip(names, roles, strict=True)
        ],
        "set": "patch_single" if single else "patch_pair",
        "method": METHOD,
    }


def _source_file(name: str) -> str:
    return f"sources/{name}.png"


def _known(name: str, source_ids: Mapping[str, str]) -> dict[str, str]:
    return {"source_id": source_ids[name]} if name in source_ids else {}
