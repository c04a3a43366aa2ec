"""`bundled+sscd`: the bundled encoder with one more part, made by SSCD from an installed package.

What belongs to the fourth part lies beside the bundled encoder: reference rows of the same
pictures, and background rows of the same images. The other three parts are the bundled ones, value
by value.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.backbones.joined import Joined
from models.background import BACKGROUND, Background, read_background
from models.card import PartCard
from models.checkpoints import (
    BadCheckpoint,
    dequantise_rows,
    load_encoder_folder,
    quantise_rows,
)
from models.encoder import Encoder
from models.heads.affine import AffineMap, Head, HeadPart, as_queries

NAME = "bundled+sscd"
ROWS = "sscd.safetensors"
NETWORK = "sscd"
"""Name of the second network in the registry, of its block of the descriptor and of its part."""

_DESCRIPTION = (
    "The bundled encoder and, as a fourth part, SSCD (Pizzi et al., CVPR 2022), a published "
    "self-supervised network that knows an image again after it was cropped, flipped, recoloured "
    "and saved. It runs from an installed package (extra `sscd`); nothing of it is stored here."
)
_LIMITS = (
    "Shares are divided by the constants of the bundled encoder, which were fitted to its three "
    "parts: `attribution calibrate` fits them to yours."
)


def load_joined(folder: Path, *, device: str = "cpu") -> Encoder:
    """The encoder of a folder with the fourth part whose rows lie in it.

    Args:
        folder: of an encoder of several parts with `ROWS` in it.
        device: where to compute; ONNX Runtime computes on the processor.

    Raises:
        WeightsUnavailable: the package is not installed; says how to get it.
        BadCheckpoint: a file is missing or damaged.
    """
    from models.published import registry  # noqa: PLC0415  (timm takes seconds to import)

    own = load_encoder_folder(folder, device=device)
    second = registry.build(NETWORK)
    reference = _rows(folder, "reference")
    shape = own.card.preprocessing
    network = Joined(own.backbone, second, NETWORK, mean=shape.mean, std=shape.std)
    return _joined(own, network, reference, registry.spec(NETWORK).licence, device)


def load_joined_background(folder: Path, encoder: Encoder) -> Background:
    """The background of the folder's encoder as `encoder`, made by `load_joined`, sees it.

    Raises:
        BadCheckpoint: a file is missing or damaged.
    """
    own = read_background(folder / BACKGROUND)
    if own is None:
        raise BadCheckpoint(f"{folder / BACKGROUND} is missing")
    rows = _rows(folder, "background")
    views = encoder.views
    if rows.shape[0] != len(own):
        raise BadCheckpoint(f"{folder / ROWS} is not of {folder / BACKGROUND}")
    by_view = zip(np.split(own.rows, views, axis=1), np.split(rows, views, axis=1), strict=True)
    joined = [
        part
        for first, second in by_view
        for part in (first, as_queries([torch.from_numpy(second)]).numpy())
    ]
    return replace(own, model_id=encoder.model_id, rows=np.concatenate(joined, axis=1))


def write_fourth_part(
    folder: Path, reference: NDArray[np.float32], background: NDArray[np.float32]
) -> None:
    """Keep the fourth part's rows beside an encoder.

    Args:
        folder: of the encoder.
        reference: `(m, 512)` of the pictures of its own reference rows.
        background: `(n, views * 512)` of the images of its own background.
    """
    tensors: dict[str, Tensor] = {}
    for name, rows in (("reference", reference), ("background", background)):
        tensors[f"{name}.values"], tensors[f"{name}.scale"] = quantise_rows(rows)
    (folder / ROWS).write_bytes(save(tensors))


def _joined(
    own: Encoder, network: Joined, reference: NDArray[np.float32], licence: str, device: str
) -> Encoder:
    width = network.second.dimension
    columns = torch.arange(network.dimension - width, network.dimension)
    queries = dict(own.head.query.items())
    maps = [
        HeadPart(name, _map(source), _map(queries[name]) if name in queries else None)
        for name, source in own.head.source.items()
    ]
    maps.append(HeadPart(NETWORK, AffineMap(torch.zeros(width), torch.eye(width), columns)))
    bank = torch.cat([own.head.bank.cpu(), torch.from_numpy(reference)], dim=1)
    head = Head(network.dimension, maps, hubness=own.head.hubness, bank=bank)
    last = head.parts[-1]
    card = own.card.model_copy(
        update={
            "name": NAME,
            "backbone": own.card.backbone.model_copy(update={"second": NETWORK}),
            "parts": (
                *own.card.parts,
                PartCard(name=last.name, head="none", dimension=last.dimension, network=NETWORK),
            ),
            "licence": f"{own.card.licence}; SSCD: {licence}",
            "description": _DESCRIPTION,
            "limits": f"{own.card.limits} {_LIMITS}".strip(),
            "metrics": {},
        }
    )
    return Encoder(card, network, head, reference=head.corrected_bank().numpy(), device=device)


def _map(fitted: torch.nn.Module) -> AffineMap:
    """The map of a part, on the processor, reading the columns that it reads alone."""
    if not isinstance(fitted, AffineMap):
        raise TypeError(f"a part's map is a {type(fitted).__name__}")
    columns = torch.arange(len(fitted.mean)) if fitted.columns is None else fitted.columns
    return AffineMap(fitted.mean, fitted.weight, columns).cpu()


def _rows(folder: Path, name: str) -> NDArray[np.float32]:
    try:
        with safe_open(folder / ROWS, framework="pt") as file:
            return dequantise_rows(
                file.get_tensor(f"{name}.values"), file.get_tensor(f"{name}.scale")
            )
    except (OSError, SafetensorError) as error:
        raise BadCheckpoint(f"{folder / ROWS} cannot be read: {error}") from error
