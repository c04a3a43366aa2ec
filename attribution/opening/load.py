"""Which encoder to load: the catalog's active one, or the place's where none was activated."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from attribution.catalog import Catalog, CatalogError, CatalogMissing, RegisteredEncoder
from attribution.opening.background import load_whole_background
from attribution.opening.engines import with_engine
from attribution.opening.place import Place
from models.background import Background
from models.encoder import Encoder
from models.loading import encoder_folder, load_encoder
from models.processor import size_pools

logger = logging.getLogger(__name__)
PlaceT = TypeVar("PlaceT", bound=Place)


@dataclass(frozen=True, slots=True, eq=False)
class Vision:
    """An encoder with its background."""

    encoder: Encoder
    background: Background | None


class EncoderUnavailable(CatalogError):
    """The catalog names an encoder that this process cannot load; the message says what to do."""

    def __init__(self, encoder: RegisteredEncoder, reason: str) -> None:
        self.encoder = encoder
        super().__init__(
            f"encoder {encoder.model_id} of this catalog cannot be loaded from "
            f"{_place(encoder)}: {reason}; put it back there, name its new place with "
            "`attribution reembed ENCODER`, or go to another with `attribution reembed --activate`"
        )


def active_place(place: PlaceT, catalog: Catalog) -> PlaceT:
    """The place with the catalog's active encoder instead of its own, if there is one."""
    active = catalog.encoders.registry().active_encoder
    if active is None:
        return place
    if place.names_encoder and (
        registered_name(place.encoder) != active.name
        or registered_weights(place.encoder_weights) != active.weights
    ):
        logger.warning(
            "the catalog's active encoder %s (%s) is used, not %s of the settings; "
            "`attribution reembed --activate` changes it",
            active.model_id, _place(active), place.encoder,
        )  # fmt: skip
    return place_for(place, active)


def active_place_of_folder(place: PlaceT) -> PlaceT:
    """`active_place` for a command that has not opened the catalog, which may not exist yet."""
    try:
        with Catalog.existing(place.data, url=place.database_url) as catalog:
            return active_place(place, catalog)
    except CatalogMissing:
        return place


def place_for(place: PlaceT, encoder: RegisteredEncoder) -> PlaceT:
    """The place as if it named this encoder."""
    weights = None if encoder.weights is None else Path(encoder.weights)
    return place.with_encoder(encoder.name, weights)


def load_registered(place: Place, encoder: RegisteredEncoder) -> Vision:
    """An encoder that the catalog names, with its background.

    Raises:
        EncoderUnavailable: it is not there, is damaged, or has become another.
    """
    if Path(encoder.name).is_absolute() and encoder_folder(encoder.name) is None:
        raise EncoderUnavailable(encoder, "there is no encoder")
    try:
        loaded = load_vision(place_for(place, encoder))
    except Exception as error:
        # Of whatever kind: a missing file, a broken one, a device without memory.
        raise EncoderUnavailable(encoder, str(error) or type(error).__name__) from error
    if (found := loaded.encoder.model_id) != encoder.model_id:
        raise EncoderUnavailable(encoder, f"what is there now is encoder {found}")
    return loaded


def why_nothing_is_found(catalog: Catalog, name: str, encoder: Encoder) -> str | None:
    """What to do where sources are held that this encoder has no row of; None where it has some.

    So it is after a release with another bundled encoder, or with a name that was mistaken.
    """
    if catalog.encoders.last_id(encoder.model_id):  # at every start, so nothing is counted
        return None
    coverage = catalog.encoders.coverage(encoder.model_id)
    if not coverage.sources:
        return None
    others = ", ".join(catalog.models()) or "none"
    return (
        f"none of the {coverage.sources} sources held has an embedding of encoder {name} "
        f"({encoder.model_id}), so none can be found (there are those of {others}): `attribution "
        f"reembed {name} --activate` makes them from the previews"
    )


def load_vision(place: Place) -> Vision:
    """The encoder that a place names; the background that ships with it, and what was added."""
    encoder = load_by_engine(place)
    return Vision(encoder, load_whole_background(place, encoder))


def load_by_engine(place: Place) -> Encoder:
    """The encoder that a place names, by the engine that it names."""
    size_pools(place.inference_threads)
    encoder = load_encoder(place.encoder, weights=place.encoder_weights, device=place.device)
    return with_engine(place, encoder)


def registered_name(name: str) -> str:
    """A name that means the same to every process: of a folder, its absolute path."""
    is_folder = name != "bundled" and encoder_folder(name) is not None
    return str(Path(name).resolve()) if is_folder else name


def registered_weights(weights: Path | None) -> str | None:
    """The absolute path of a weights file."""
    return None if weights is None else str(weights.resolve())


def _place(encoder: RegisteredEncoder) -> str:
    return encoder.name if encoder.weights is None else f"{encoder.name} ({encoder.weights})"
