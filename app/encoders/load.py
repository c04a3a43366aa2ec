"""Which encoder to load: the catalog's active one, or the settings' where none was activated."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from app.encoders.background import load_whole_background
from app.encoders.engines import with_engine
from app.settings import Settings
from attribution.catalog import Catalog, CatalogError, CatalogMissing, RegisteredEncoder
from models.background import Background
from models.encoder import Encoder
from models.loading import encoder_folder, load_encoder
from models.processor import size_pools

logger = logging.getLogger(__name__)


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


def active_settings(settings: Settings, catalog: Catalog) -> Settings:
    """The settings with the catalog's active encoder in the place of theirs, if there is one."""
    active = catalog.encoders.registry().active_encoder
    if active is None:
        return settings
    chosen = settings_for(settings, active)
    if "encoder" in settings.model_fields_set and (
        registered_name(settings.encoder) != active.name
        or registered_weights(settings.encoder_weights) != active.weights
    ):
        logger.warning(
            "the catalog's active encoder %s (%s) is used, not %s of the settings; "
            "`attribution reembed --activate` changes it",
            active.model_id, _place(active), settings.encoder,
        )  # fmt: skip
    return chosen


def active_settings_of_folder(settings: Settings) -> Settings:
    """`active_settings` for a command that has not opened the catalog, which may not exist yet."""
    try:
        with Catalog.existing(settings.data, url=settings.database_url) as catalog:
            return active_settings(settings, catalog)
    except CatalogMissing:
        return settings


def settings_for(settings: Settings, encoder: RegisteredEncoder) -> Settings:
    """The settings as if they named this encoder."""
    weights = None if encoder.weights is None else Path(encoder.weights)
    return settings.model_copy(update={"encoder": encoder.name, "encoder_weights": weights})


def load_registered(settings: Settings, encoder: RegisteredEncoder) -> Vision:
    """An encoder that the catalog names, with its background.

    Raises:
        EncoderUnavailable: it is not there, is damaged, or has become another.
    """
    if Path(encoder.name).is_absolute() and encoder_folder(encoder.name) is None:
        raise EncoderUnavailable(encoder, "there is no encoder")
    try:
        loaded = load_vision(settings_for(settings, encoder))
    except Exception as error:
        # Of whatever kind: a missing file, a broken one, a device without memory.
        raise EncoderUnavailable(encoder, str(error) or type(error).__name__) from error
    if (found := loaded.encoder.model_id) != encoder.model_id:
        raise EncoderUnavailable(encoder, f"what is there now is encoder {found}")
    return loaded


def load_vision(settings: Settings) -> Vision:
    """The encoder that the settings name; the background that ships with it, and what was added."""
    encoder = load_by_engine(settings)
    return Vision(encoder, load_whole_background(settings, encoder))


def load_by_engine(settings: Settings) -> Encoder:
    """The encoder that the settings name, by the engine that they name."""
    size_pools(settings.inference_threads)
    encoder = load_encoder(
        settings.encoder, weights=settings.encoder_weights, device=settings.device
    )
    return with_engine(settings, encoder)


def registered_name(name: str) -> str:
    """A name that means the same to every process: of a folder, its absolute path."""
    is_folder = name != "bundled" and encoder_folder(name) is not None
    return str(Path(name).resolve()) if is_folder else name


def registered_weights(weights: Path | None) -> str | None:
    """The absolute path of a weights file."""
    return None if weights is None else str(weights.resolve())


def _place(encoder: RegisteredEncoder) -> str:
    return encoder.name if encoder.weights is None else f"{encoder.name} ({encoder.weights})"
