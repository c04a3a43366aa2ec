"""A folder of synthetic images whose true sources are known, with a manifest that says so.

The manifest has the form that `attribution.evaluation` reads: one JSON row a query, paths relative
to the manifest. Composites have a mask beside them, which their row names. Knows the generator, no
catalog and no encoder.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from attribution.synthesis.composites.pictures import Kind, composed, sources_of
from attribution.synthesis.composites.storing import mask_file, write_mask
from attribution.synthesis.patches import from_one, from_two

_log = logging.getLogger(__name__)

METHOD = "patch-nearest-neighbours"
MANIFEST_NAME = "manifest.jsonl"

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LARGEST_SEED = 2**63


class UnusableSources(ValueError):
    """The sources given cannot make what is asked; the message says why."""


@dataclass(frozen=True, slots=True)
class _Planned:
    """An image to make: of which sources, and how; by the patch generator where no kind is said."""

    sources: tuple[str, ...]
    kind: Kind | None = None


def generate(
    sources: Sequence[tuple[str, Image.Image]],
    out: Path,
    *,
    singles: int,
    pairs: int,
    seed: int,
    size: int = 192,
    composites: Mapping[Kind, int] | None = None,
    source_ids: Mapping[str, str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write one-source and two-source images, composites with masks, their sources and a manifest.

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
        composites: how many of each kind; each has its mask beside it (`composites.storing`), and
            the role of a source says whether its pixels are `inside` the mask or `outside`.
        source_ids: of the catalog's sources among them, by name; the manifest says them, so that
            calibration knows which sources they are.
        on_progress: called with (done, total) after each image.

    Returns:
        The manifest.

    Raises:
        UnusableSources: a bad or repeated name, a negative count, or too few sources.
    """
    composites = composites or {}
    _require_usable(sources, singles, pairs, composites)
    images = dict(sources)
    for folder in ("sources", "queries"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        image.convert("RGB").save(out / _source_file(name))
    rng = np.random.default_rng(seed)
    # Composites are drawn apart, so that the other images are those of a folder without any.
    plan = _plan(list(images), singles, pairs, rng)
    plan += _plan_composites(list(images), composites, np.random.default_rng([seed, 1]))
    manifest = out / MANIFEST_NAME
    with manifest.open("w", encoding="utf-8") as rows:
        for number, planned in enumerate(plan):
            drawn = int(rng.integers(_LARGEST_SEED))
            query = f"queries/{number:05d}.png"
            own = [images[name] for name in planned.sources]
            if planned.kind is None:
                _made(own, drawn, size).save(out / query)
            else:
                made = composed(planned.kind, own, seed=drawn, size=size)
                made.image.save(out / query)
                write_mask(made.mask, out / mask_file(query))
            rows.write(json.dumps(_row(query, planned, source_ids or {})) + "\n")
            rows.flush()
            if on_progress is not None:
                on_progress(number + 1, len(plan))
    _log.info("wrote %d synthetic images of %d sources to %s", len(plan), len(sources), out)
    return manifest


def _require_usable(
    sources: Sequence[tuple[str, Image.Image]],
    singles: int,
    pairs: int,
    composites: Mapping[Kind, int],
) -> None:
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
    asked = [count for count in composites.values() if count < 0]
    if asked:
        raise UnusableSources(f"composites have counts, not {asked[0]}")
    each = [1] * (singles > 0) + [2] * (pairs > 0)
    each += [sources_of(kind) for kind, count in composites.items() if count]
    needed = max(each, default=0)
    if len(sources) < needed:
        raise UnusableSources(f"{needed} sources or more are needed for this, not {len(sources)}")


def _plan(
    names: Sequence[str], singles: int, pairs: int, rng: np.random.Generator
) -> list[_Planned]:
    """The sources of each image to make: one name, or a structure and an appearance."""
    plan = [_Planned((name,)) for name in _in_turns(names, singles, rng)]
    return plan + [_Planned(both) for both in _in_pairs(names, pairs, rng)]


def _plan_composites(
    names: Sequence[str], composites: Mapping[Kind, int], rng: np.random.Generator
) -> list[_Planned]:
    """The sources of each composite to make, kind after kind."""
    plan: list[_Planned] = []
    for kind, count in composites.items():
        if sources_of(kind) == 1:
            plan += [_Planned((name,), kind) for name in _in_turns(names, count, rng)]
        else:
            plan += [_Planned(both, kind) for both in _in_pairs(names, count, rng)]
    return plan


def _in_pairs(names: Sequence[str], count: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """`count` pairs of unlike names, the first of them in turns."""
    firsts = _in_turns(names, count, rng)
    return [(first, str(rng.choice([name for name in names if name != first]))) for first in firsts]


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


def _row(query: str, planned: _Planned, source_ids: Mapping[str, str]) -> dict[str, Any]:
    """One line of the manifest: a query and its true sources, each by its part."""
    single, kind = len(planned.sources) == 1, planned.kind
    if kind is None:
        roles = ("exemplar",) if single else ("structure", "appearance")
    else:
        roles = ("inside",) if single else ("inside", "outside")
    row = {
        "query": query,
        "sources": [
            {"image": _source_file(name), "role": role, **known_source(name, source_ids)}
            for name, role in zip(planned.sources, roles, strict=True)
        ],
    }
    if kind is None:
        return row | {"set": "patch_single" if single else "patch_pair", "method": METHOD}
    return row | {"set": f"composite_{kind}", "method": kind, "mask": mask_file(query)}


def _source_file(name: str) -> str:
    return f"sources/{name}.png"


def known_source(name: str, source_ids: Mapping[str, str]) -> dict[str, str]:
    """What a manifest's row says of a source that is in a catalog; nothing of another."""
    return {"source_id": source_ids[name]} if name in source_ids else {}
