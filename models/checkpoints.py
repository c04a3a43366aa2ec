"""Encoders on disk: `encoder.safetensors` and `card.json` in one folder, nothing executable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from models.backbones.features import Backbone
from models.backbones.residual import ResidualNet
from models.card import Card
from models.encoder import Encoder
from models.heads.affine import AffineMap, Head, HeadPart

WEIGHTS, CARD = "encoder.safetensors", "card.json"


class BadCheckpoint(ValueError):
    """The folder does not hold an encoder that this version can load."""


def save_encoder(
    folder: Path,
    card: Card,
    backbone: Backbone,
    parts: tuple[HeadPart, ...],
    *,
    reference: NDArray[np.float32] | None = None,
) -> None:
    """Write an encoder: the network as float16, weights of heads and reference rows as int8.

    Closed forms are matrices of many thousand entries a column; their rounding errors average
    out, at half the size of float16. A `linear` head is stored as float16: beside its diagonal
    of about one, int8 would round what was learnt to nothing. `reference` are rows of sources
    without hubness correction. The network of a registry backbone is stored whole, so that the
    folder needs no download.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"backbone.{name}": _halved(tensor) for name, tensor in backbone.state_dict().items()
    }
    trained = {part.name for part in card.parts if part.head == "linear"}
    for part in parts:
        for domain, fitted in (("source", part.source), ("query", part.query)):
            if fitted is not None:
                stored = _stored_map(fitted, trained=part.name in trained)
                prefix = f"head.{domain}.{part.name}."
                tensors |= {prefix + name: tensor for name, tensor in stored.items()}
    if reference is not None and len(reference):
        tensors["reference.values"], tensors["reference.scale"] = quantise_rows(reference)
    packed = {name: tensor.contiguous() for name, tensor in tensors.items()}
    (folder / WEIGHTS).write_bytes(save(packed))
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_encoder_folder(folder: Path, *, device: str = "cpu") -> Encoder:
    """Read what `save_encoder` wrote.

    Raises:
        BadCheckpoint: a file is missing, damaged or of another kind; says which.
    """
    card, tensors = read_card(folder), _read_weights(folder)
    backbone = _build_backbone(folder, card, tensors)
    reference = None
    if "reference.values" in tensors:
        reference = dequantise_rows(tensors["reference.values"], tensors["reference.scale"])
    bank = None if reference is None else torch.from_numpy(reference)
    try:
        parts = [_read_part(tensors, part.name) for part in card.parts if part.head != "none"]
        head = Head(backbone.dimension, parts, hubness=card.hubness, bank=bank)
    except (KeyError, ValueError) as error:
        raise BadCheckpoint(f"{folder / WEIGHTS} does not fit its card: {error}") from error
    if head.hubness > 0:
        reference = head.corrected_bank().numpy()
    return Encoder(card, backbone, head, reference=reference, device=device)


def load_backbone(folder: Path) -> Backbone:
    """Only the network of an encoder folder, whatever its heads: to train further.

    Raises:
        BadCheckpoint: as `load_encoder_folder`.
    """
    return _build_backbone(folder, read_card(folder), _read_weights(folder))


def _read_weights(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise BadCheckpoint(f"{folder / WEIGHTS} cannot be read: {error}") from error


def _build_backbone(folder: Path, card: Card, tensors: dict[str, Tensor]) -> Backbone:
    backbone = _network(folder, card)
    try:
        backbone.load_state_dict(_below(tensors, "backbone."))
    except RuntimeError as error:
        raise BadCheckpoint(f"{folder / WEIGHTS} does not fit its card: {error}") from error
    return backbone


def _network(folder: Path, card: Card) -> Backbone:
    """The network that a card names, its weights still to be loaded."""
    if card.backbone.name == "residual":
        return ResidualNet(card.backbone.widths, card.backbone.blocks)
    from models.published import registry  # noqa: PLC0415  (timm takes seconds to import)

    try:
        return registry.without_weights(card.backbone.name)
    except registry.UnknownBackbone as error:
        raise BadCheckpoint(f"{folder / CARD}: {error}") from error


def read_card(folder: Path) -> Card:
    """The card of an encoder folder."""
    try:
        return Card.model_validate(json.loads((folder / CARD).read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadCheckpoint(f"{folder / CARD} cannot be read: {error}") from error
    except ValidationError as error:
        raise BadCheckpoint(f"{folder / CARD} is not an encoder card: {error}") from error


def quantise_rows(rows: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """`(n, d)` rows to int8 values and one float32 scale a row; error under 0.4 % of the peak."""
    peak = np.abs(rows).max(axis=1, keepdims=True).clip(1e-12)
    values = np.rint(rows / peak * 127).astype(np.int8)
    return torch.from_numpy(values), torch.from_numpy((peak[:, 0] / 127).astype(np.float32))


def dequantise_rows(values: Tensor, scale: Tensor) -> NDArray[np.float32]:
    """What `quantise_rows` stored, as float32."""
    rows: NDArray[np.float32] = (values.float() * scale[:, None]).numpy()
    return rows


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _halved(tensor: Tensor) -> Tensor:
    """As float16, but for integers and for values that float16 cannot hold."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    return half if half.isfinite().all() else tensor


def _stored_map(fitted: AffineMap, *, trained: bool) -> dict[str, Tensor]:
    """A trained map as float16, a closed form as int8; see `save_encoder`."""
    stored = {"mean": _halved(fitted.mean)}
    if trained:
        stored["weight"] = _halved(fitted.weight)
    else:
        stored["weight.values"], stored["weight.scale"] = quantise_rows(fitted.weight.T.numpy())
    if fitted.columns is not None:
        stored["columns"] = fitted.columns.to(torch.int32)
    return stored


def _read_part(tensors: dict[str, Tensor], name: str) -> HeadPart:
    source = _read_map(_below(tensors, f"head.source.{name}."))
    query = _below(tensors, f"head.query.{name}.")
    return HeadPart(name, source, _read_map(query) if query else None)


def _read_map(stored: dict[str, Tensor]) -> AffineMap:
    weight = stored.get("weight")
    if weight is None:
        rows = dequantise_rows(stored["weight.values"], stored["weight.scale"])
        weight = torch.from_numpy(rows.T.copy())
    columns = stored.get("columns")
    return AffineMap(stored["mean"], weight, None if columns is None else columns.long())
