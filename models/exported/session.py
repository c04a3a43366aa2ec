"""Runs an exported network by ONNX Runtime; knows files and pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.engine import EngineName
from models.exported.extra import library


def open_session(graph: Path, threads: int | None = None) -> Any:  # the library is untyped
    """ONNX Runtime's session of a file, on the processor; see `OnnxEngine`."""
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    # Threads that have nothing to do would look for work on the cores that a search needs.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    return runtime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


INPUT, OUTPUT = "images", "learnt"


class OnnxEngine:
    """An `Engine` on the processor; a session of ONNX Runtime may be run by several threads.

    Args:
        graph: the file of the network.
        threads: that compute a pass, this one among them; by default as many as torch has, which
            `models.processor.size_pools` has given every other pool too.
    """

    name: EngineName = "onnx"

    def __init__(self, graph: Path, threads: int | None = None) -> None:
        self._session = open_session(graph, threads)

    def learnt(self, images: Tensor) -> Tensor:
        """As `Engine.learnt`."""
        pixels = np.ascontiguousarray(images.numpy())
        [learnt] = self._session.run([OUTPUT], {INPUT: pixels})
        return torch.from_numpy(learnt)
