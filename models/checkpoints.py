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
    """Write an encoder, floating point tensors as float16 and reference rows as int8."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    for part in parts:
        for domain, fitted in (("source", part.source), ("query", part.query)):
            if fitted is not None:
                tensors[f"head.{domain}.{part.name}.mean"] = fitted.mean
                tensors[f"head.{domain}.{part.name}.weight"] = fitted.weight
    halves = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor.contiguous()
        for name, tensor in tensors.items()
    }
    if reference is not None and len(reference):
        halves["reference.values"], halves["reference.scale"] = quantise_rows(reference)
    (folder / WEIGHTS).write_bytes(save(halves))
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_encoder_folder(folder: Path, *, device: str = "cpu") -> Encoder:
    """Read what `save_encoder` wrote.

    Raises:
        BadCheckpoint: a file is missing, damaged or of another kind; says which.
    """
    card = read_card(folder)
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise BadCheckpoint(f"{folder / WEIGHTS} cannot be read: {error}") from error
    if card.backbone.name != "residual":
        raise BadCheckpoint(f"{folder / CARD}: unknown backbone {card.backbone.name!r}")
    backbone = ResidualNet(card.backbone.widths, card.backbone.blocks)
    try:
        backbone.load_state_dict(_below(tensors, "backbone."))
        parts = [_read_part(tensors, part.name) for part in card.parts if part.head != "none"]
    except (RuntimeError, KeyError, ValueError) as error:
        raise BadCheckpoint(f"{folder / WEIGHTS} does not fit its card: {error}") from error
    reference = None
    if "reference.values" in tensors:
        reference = dequantise_rows(tensors["reference.values"], tensors["reference.scale"])
    head = Head(backbone.dimension, parts)
    return Encoder(card, backbone, head, reference=reference, device=device)


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


def _read_part(tensors: dict[str, Tensor], name: str) -> HeadPart:
    source = _below(tensors, f"head.source.{name}.")
    query = _below(tensors, f"head.query.{name}.")
    return HeadPart(
        name,
        AffineMap(source["mean"], source["weight"]),
        AffineMap(query["mean"], query["weight"]) if query else None,
    )
