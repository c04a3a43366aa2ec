"""Writes the network of any encoder as a graph of ONNX operators."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from models.backbones.features import Backbone
from models.backbones.joined import Joined
from models.backbones.residual import ResidualNet
from models.encoder import Encoder
from models.exported.extra import library
from models.exported.graph import OPSET, residual_graph
from models.exported.session import INPUT, OUTPUT

_EXAMPLES = 2  # images in a traced batch: of one alone the number would count as fixed


class NotExportable(ValueError):
    """This network cannot be written as a graph; the message says why."""


def export_network(encoder: Encoder, path: Path) -> None:
    """Write what `Engine.learnt` does for images as the encoder prepares them, in float32.

    Raises:
        NotExportable: torch cannot trace the network.
        ImportError: the extra `onnx` is not installed.
    """
    library("onnxruntime")  # before the work, not after it
    size = encoder.card.preprocessing.height, encoder.card.preprocessing.width
    # Of two networks the first one is what an engine runs.
    network = encoder.backbone.first if isinstance(encoder.backbone, Joined) else encoder.backbone
    if isinstance(network, ResidualNet):
        path.write_bytes(residual_graph(network, *size).SerializeToString())
        return
    if not list(network.parameters()):
        raise NotExportable(f"{encoder.card.name} is run by ONNX Runtime as it is")
    library("onnxscript")
    _export_traced(network, size, path)


class _Learnt(nn.Module):
    """`Backbone.learnt` as a module, which is what torch traces."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone.learnt(images).pooled


def _export_traced(backbone: Backbone, size: tuple[int, int], path: Path) -> None:
    device = next(backbone.parameters()).device
    count = torch.export.Dim("n", min=1, max=1024)
    try:
        torch.onnx.export(
            _Learnt(backbone).eval(),
            (torch.zeros(_EXAMPLES, 3, *size, device=device),),
            path,
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=({0: count},),
            external_data=False,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[0]
        raise NotExportable(
            f"{type(backbone).__name__} cannot be exported for ONNX Runtime: {reason}"
        ) from error
