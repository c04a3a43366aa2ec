"""Reads tensors from a file somebody else wrote without running anything in it; knows no models.

A PyTorch checkpoint is a pickle, and a pickle can carry code. Only safetensors and pickles of
plain data are accepted; `argparse.Namespace` is let through because the full DINO checkpoints
store their command line in one, and building it runs nothing.
"""

from __future__ import annotations

import argparse
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

UNREADABLE = (
    RuntimeError, EOFError, LookupError, ValueError, TypeError, AssertionError,
    struct.error, pickle.UnpicklingError,
)  # fmt: skip
"""What torch raises on a file that is damaged or none of its own: its readers have no one error."""


class CheckpointError(ValueError):
    """A weights file cannot be used; the message says why and what to do."""


class UnreadableCheckpoint(CheckpointError):
    """The file is damaged, no checkpoint at all, or a pickle that carries code."""


def read_checkpoint(path: Path) -> Mapping[str, object]:
    """Read a `.safetensors` file or a PyTorch checkpoint of plain data, onto the CPU.

    Args:
        path: the file; `.safetensors` is told by its ending, anything else is a PyTorch file.

    Returns:
        Whatever mapping the file holds, tensors and all, as it was saved.

    Raises:
        UnreadableCheckpoint: the file is missing, damaged, holds no mapping, or is a pickle of
            more than plain data.
    """
    if not path.is_file():
        raise UnreadableCheckpoint(f"{path} is not a file: give the path of a weights file")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    if not isinstance(content, Mapping):
        raise UnreadableCheckpoint(
            f"{path.name} holds a {type(content).__name__}, not a state dict: "
            "save the weights with torch.save(model.state_dict(), path)"
        )
    return content


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError) as error:
        raise UnreadableCheckpoint(_damaged(path, first_line(error))) from error


def _read_pickle(path: Path) -> object:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # torch's own text is left out: it advises to load the file unsafely
        raise UnreadableCheckpoint(
            f"{path.name} was refused: it is damaged, or a pickle that carries code, which loading "
            "could run. Download the file that the authors publish again, or convert it to "
            "safetensors on a machine you can afford to lose"
        ) from None
    except (*UNREADABLE, OSError) as error:
        raise UnreadableCheckpoint(_damaged(path, first_line(error))) from error


def _damaged(path: Path, reason: str) -> str:
    return f"{path.name} is damaged or no weights file ({reason}): download it again"


def first_line(error: Exception) -> str:
    """What a library says was wrong, without the advice and listings that follow it."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
