"""The libraries of the extra `onnx`, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

_LIBRARIES = ("onnx", "onnxruntime", "onnxscript")


def installed() -> bool:
    """Whether what runs an exported network is there."""
    return find_spec("onnxruntime") is not None


def library(name: str) -> Any:  # none of them is typed
    """One of them.

    Raises:
        ImportError: it is not installed; names the extra.
    """
    if name not in _LIBRARIES:
        raise ValueError(f"{name} is none of {', '.join(_LIBRARIES)}")
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"engine onnx needs {name}, which is not installed: pip install 'attribution[onnx]'"
        ) from error
