"""Exported networks on disk, a folder for each encoder: written, compared with torch, read.

`float32.onnx` is the network; `float32.json` says what it was made from and how near it comes to
torch, `float32.rates.json` how fast it was here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from models.digests import sha256_of
from models.encoder import Encoder, weights_sha256
from models.engine import Choice
from models.exported.exporting import export_network
from models.exported.extra import library
from models.exported.session import OnnxEngine
from models.heads.affine import Domain

TOLERANCE = 1e-4
"""Largest difference to torch in any column of a row."""
_BATCH = 16
_DOMAINS: tuple[Domain, ...] = ("query", "source")
_LIBRARIES = ("onnx", "onnxruntime", "torch")
_AGAIN = "`attribution engine build` makes it again"


class EngineUnavailable(ValueError):
    """There is no exported network that could be used; the message says what to do."""


class Manifest(BaseModel, protected_namespaces=()):
    """What an exported network was made from, and how near its rows come to those of torch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    model_id: str
    encoder: str
    numeric: Literal["float32"] = "float32"
    weights_sha256: str
    graph_sha256: str
    versions: dict[str, str]
    images: int
    cosine_mean: float
    cosine_min: float
    largest_difference: float


def graph_path(folder: Path, model_id: str) -> Path:
    """Where the network of an encoder lies."""
    return folder / model_id / "float32.onnx"


def manifest_path(folder: Path, model_id: str) -> Path:
    """Where its manifest lies."""
    return graph_path(folder, model_id).with_suffix(".json")


def rates_path(folder: Path, model_id: str) -> Path:
    """Where it is remembered how fast it runs here."""
    return graph_path(folder, model_id).with_suffix(".rates.json")


def build(encoder: Encoder, folder: Path, pixels: Tensor) -> Manifest:
    """Export the network, compare it with torch on these images, and keep it.

    Args:
        encoder: whose network.
        folder: of all exported networks.
        pixels: `(n, 3, H, W)` images as the encoder prepares them.

    Raises:
        EngineUnavailable: its rows are not those of torch; nothing is kept.
        NotExportable: torch cannot trace the network.
        ImportError: the extra `onnx` is not installed.
    """
    path = graph_path(folder, encoder.model_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        export_network(encoder, aside)
        exported = encoder.by(OnnxEngine(aside), Choice("onnx"))
        manifest = _compared(encoder, exported, pixels, aside)
        if not manifest.largest_difference <= TOLERANCE:
            raise EngineUnavailable(
                f"ONNX Runtime's rows of {encoder.card.name} differ from torch's by up to "
                f"{manifest.largest_difference:.1e}, more than {TOLERANCE}: nothing is kept"
            )
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    text = manifest.model_dump_json(indent=2) + "\n"
    manifest_path(folder, encoder.model_id).write_text(text, encoding="utf-8")
    return manifest


def read_manifest(folder: Path, encoder: Encoder) -> Manifest:
    """The manifest of an encoder's exported network.

    Raises:
        EngineUnavailable: there is none, or it is damaged.
    """
    path = manifest_path(folder, encoder.model_id)
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise EngineUnavailable(
            f"the network of encoder {encoder.card.name} ({encoder.model_id}) has not been "
            f"exported to {folder}: `attribution engine build` does it"
        ) from None
    except (OSError, ValidationError) as error:
        raise EngineUnavailable(f"{path} cannot be read: {error}; {_AGAIN}") from error


def load_engine(encoder: Encoder, folder: Path) -> tuple[OnnxEngine, Manifest]:
    """The engine that runs the exported network of an encoder, and what is known of it.

    Raises:
        EngineUnavailable: there is none, it is damaged, or of another encoder.
        ImportError: the extra `onnx` is not installed.
    """
    manifest = read_manifest(folder, encoder)
    library("onnxruntime")
    path = graph_path(folder, encoder.model_id)
    if manifest.model_id != encoder.model_id or not _is_sound(path, manifest):
        raise EngineUnavailable(f"{path} is not what its manifest says; {_AGAIN}")
    try:
        return OnnxEngine(path), manifest
    except Exception as error:  # those of ONNX Runtime have no common base
        raise EngineUnavailable(f"{path} cannot be run: {error}; {_AGAIN}") from error


def difference(some: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """The largest difference between two sets of rows; not a number where one is not."""
    return float(np.abs(some - others).max(initial=0.0))


def _compared(encoder: Encoder, exported: Encoder, pixels: Tensor, graph: Path) -> Manifest:
    cosines: list[NDArray[np.float32]] = []
    apart: list[float] = []
    for domain in _DOMAINS:
        for batch in _batches(pixels):
            rows, others = (each.embed(batch, domain=domain) for each in (encoder, exported))
            apart.append(difference(rows, others))
            lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(others, axis=1)
            cosines.append((rows * others).sum(axis=1) / lengths)
    joined = np.concatenate(cosines)
    return Manifest(
        model_id=encoder.model_id,
        encoder=encoder.card.name,
        weights_sha256=weights_sha256(encoder.backbone),
        graph_sha256=sha256_of(graph),
        versions={name: version(name) for name in _LIBRARIES},
        images=len(pixels),
        cosine_mean=float(joined.mean()),
        cosine_min=float(joined.min()),
        largest_difference=float(np.max(apart)),
    )


def _batches(pixels: Tensor) -> Sequence[Tensor]:
    """One image alone, the others in batches: both ways of running are compared."""
    return [each for each in (pixels[:1], *torch.split(pixels[1:], _BATCH)) if len(each)]


def _is_sound(graph: Path, manifest: Manifest) -> bool:
    with suppress(OSError):
        return sha256_of(graph) == manifest.graph_sha256
    return False
