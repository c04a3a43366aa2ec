"""Which encoders and baselines `attribution evaluate` ranks with, as its options say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from app.cli.failures import BadInvocation
from app.cli.images import ImagesLeftOut, names_in
from attribution.evaluation.ranks.baselines import FITTED, NAMES, make
from attribution.evaluation.ranks.methods import Method, PooledDescriber, encoder_method
from attribution.training.data.images import member_names, read_pictures
from models import load_encoder
from models.encoder import Encoder


@dataclass(frozen=True, slots=True)
class Fitting:
    """Images to fit on, read again each time they are gone through."""

    paths: tuple[Path, ...]
    names: frozenset[str]
    left_out: ImagesLeftOut

    def __iter__(self) -> Iterator[Image.Image]:
        return read_pictures(self.paths, self.names, self.left_out)


def wanted_baselines(chosen: list[str] | None, *, everything: bool) -> tuple[str, ...]:
    """Names of baselines, in their own order.

    Raises:
        BadInvocation: there is none of such a name.
    """
    if everything:
        return NAMES
    unknown = sorted(set(chosen or ()) - set(NAMES))
    if unknown:
        raise BadInvocation(f"--baseline {unknown[0]}: choose from {', '.join(NAMES)}")
    return tuple(name for name in NAMES if name in (chosen or ()))


def fitting_images(
    wanted: Iterable[str],
    paths: list[Path] | None,
    background: Path | None,
    limit: int,
    left_out: ImagesLeftOut,
) -> Fitting | None:
    """A random sample of the images given, so that the order of names decides nothing."""
    needed = [name for name in wanted if name in FITTED]
    if not needed:
        return None
    if not paths:
        raise BadInvocation(f"{', '.join(needed)} are fitted on images: give --fit-images")
    names = sorted(member_names(paths) - names_in(background))
    if not names:
        raise BadInvocation(f"--fit-images: no images in {', '.join(map(str, paths))}")
    chosen = np.random.default_rng(0).permutation(len(names))[:limit]
    return Fitting(tuple(paths), frozenset(names[place] for place in chosen), left_out)


def load_encoders(names: Sequence[str], device: str) -> dict[str, Encoder]:
    """Encoders by the name on their card, or as they were given where two cards agree."""
    loaded = {name: load_encoder(name, device=device) for name in dict.fromkeys(names)}
    cards = Counter(encoder.card.name for encoder in loaded.values())
    return {
        name if cards[encoder.card.name] > 1 else encoder.card.name: encoder
        for name, encoder in loaded.items()
    }


def methods_of(
    encoders: dict[str, Encoder],
    *,
    mirrored: bool,
    baselines: Sequence[str],
    fitting: Fitting | None,
) -> list[Method]:
    """A row of the table each: encoders, then baselines, those without an encoder once."""
    methods = []
    for name, encoder in encoders.items():
        methods.append(replace(encoder_method(encoder), name=name))
        if mirrored and encoder.views == 1:  # else it looks at the mirror image as it is
            again = encoder_method(encoder, mirrored=True)
            methods.append(replace(again, name=f"{name}, mirrored"))
    for name in baselines:
        for encoder_name, encoder in encoders.items():
            method = make(name, encoder=encoder, fit=fitting)
            if method.describer.name != PooledDescriber(encoder).name:
                methods.append(method)  # describes images without an encoder: once is enough
                break
            several = len(encoders) > 1
            methods.append(replace(method, name=f"{name} of {encoder_name}" if several else name))
    return methods
