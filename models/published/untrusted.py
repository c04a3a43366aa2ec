"""Reads tensors from a file somebody else wrote without running anything in it; knows no models.

A PyTorch checkpoint is a pickle, and a pickle can carry code. Only safetensors and pickles of
plain data are accepted; `argparse.Namespace` is let through because the full DINO checkpoints
store their command line in one, and building it runs nothing.
"""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

# How torch says that it met a name outside its list of plain data, or an opcode that calls one.
# Other opcodes it does not know come from files that are no pickles at all.
_CALLING_OPCODES: Final = (pickle.INST, pickle.OBJ, pickle.EXT1, pickle.EXT2, pickle.EXT4)
_REFUSAL: Final = re.compile(
    r"unsupported global|unrecognized function|can only (build|create)|unsupported operand "
    rf"({'|'.join(str(opcode[0]) for opcode in _CALLING_OPCODES)})\b",
    re.IGNORECASE,
)


class CheckpointError(ValueError):
    """A weights file cannot be used; the message says why and what to do."""


class UnsafeCheckpoint(CheckpointError):
    """The file would run code if it were unpickled."""


class UnreadableCheckpoint(CheckpointError):
    """The file is damaged or is no checkpoint at all."""


def read_checkpoint(path: Path) -> Mapping[str, object]:
    """Read a `.safetensors` file or a PyTorch checkpoint of plain data, onto the CPU.

    Args:
        path: the file; `.safetensors` is told by its ending, anything else is a PyTorch file.

    Returns:
        Whatever mapping the file holds, tensors and all, as it was saved.

    Raises:
        UnsafeCheckpoint: the pickle names something that is not plain data.
        UnreadableCheckpoint: the file is missing, damaged or holds no mapping.
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
        raise UnreadableCheckpoint(_damaged(path, _first_line(error))) from error


def _read_pickle(path: Path) -> object:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if _REFUSAL.search(str(error)):
            raise UnsafeCheckpoint(
                f"{path.name} was refused: it is a pickle that names code, not only tensors, and "
                "loading it could run that code. Use the file the authors publish, or convert it "
                "to safetensors on a machine you can afford to lose"
            ) from None
        # torch's own text is left out, here and above: it advises to load the file unsafely
        raise UnreadableCheckpoint(_damaged(path, "not what torch.save writes")) from None
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError) as error:
        # torch's readers have no common error for a file that is cut short or is something else
        raise UnreadableCheckpoint(_damaged(path, _first_line(error))) from error


def _damaged(path: Path, reason: str) -> str:
    return f"{path.name} is damaged or no weights file ({reason}): download it again"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
