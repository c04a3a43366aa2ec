"""The way in: an encoder by name, from a folder, or from an official file."""

from __future__ import annotations

from pathlib import Path

from models.background import BACKGROUND, Background, read_background
from models.card import BackboneCard, Card, PartCard
from models.checkpoints import CARD, BadCheckpoint, load_encoder_folder
from models.devices import require_device
from models.encoder import Encoder
from models.fourth_part import NAME as JOINED
from models.fourth_part import load_joined, load_joined_background
from models.heads.affine import Head

BUNDLED = Path(__file__).parent / "bundled"


def load_encoder(
    name: str = "bundled", *, weights: Path | None = None, device: str = "cpu"
) -> Encoder:
    """Load an encoder, ready to use.

    Args:
        name: `bundled`; `bundled+sscd`, which needs the extra `sscd`; the folder of an encoder made
            by `attribution train`; or a backbone of the registry, such as `dino-vits16`, which is
            used with head `none`.
        weights: an official checkpoint file for a registry backbone, instead of a download.
        device: `cpu`, `cuda` or `cuda:1`.

    Raises:
        UnknownBackbone: no such name.
        WeightsUnavailable: nothing cached and no way to download; says how to provide the file.
        BadCheckpoint: the folder is damaged or of another kind.
        UnusableDevice: torch does not see the device.
    """
    require_device(device)
    folder = encoder_folder(name)
    if folder is not None or name == JOINED:
        if weights is not None:
            raise BadCheckpoint(f"encoder {name!r} has its own weights: leave out {weights}")
        if folder is None:
            return load_joined(BUNDLED, device=device)
        return load_encoder_folder(folder, device=device)
    return _from_registry(name, weights, device)


def load_encoder_background(name: str, encoder: Encoder) -> Background | None:
    """The background that ships with an encoder folder; None for a registry backbone.

    Raises:
        BadCheckpoint: the file is damaged or was made by another encoder.
    """
    if name == JOINED:
        return load_joined_background(BUNDLED, encoder)
    folder = encoder_folder(name)
    background = None if folder is None else read_background(folder / BACKGROUND)
    if background is not None and background.model_id != encoder.model_id:
        raise BadCheckpoint(
            f"the background in {folder} was made by encoder {background.model_id}, not by "
            f"{encoder.model_id}: make both again with `attribution train --background NAMES`"
        )
    return background


def encoder_folder(name: str) -> Path | None:
    """The folder behind a name, or None where the name is one of the registry's."""
    if name == "bundled":
        return BUNDLED
    folder = Path(name)
    return folder if (folder / CARD).is_file() else None


def _from_registry(name: str, weights: Path | None, device: str) -> Encoder:
    from models.published import registry  # noqa: PLC0415  (timm takes seconds to import)

    spec = registry.spec(name)
    backbone = registry.build(name, weights=weights, device=device)
    card = Card(
        name=name,
        backbone=BackboneCard(name=name),
        preprocessing=spec.preprocessing,
        parts=(PartCard(name="whole", head="none", dimension=backbone.dimension),),
        licence=spec.licence,
        description=spec.description,
    )
    return Encoder(card, backbone, Head(backbone.dimension), device=device)
