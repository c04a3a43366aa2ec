"""The learnt part of a `ResidualNet` as a graph of ONNX operators, normalisations folded.

Written operator by operator rather than traced: that needs no compiler, and no time to speak of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.backbones.residual import GRID, ResidualBlock, ResidualNet
from models.exported.extra import library
from models.exported.session import INPUT, OUTPUT

OPSET = 18
_FORMAT = 10  # of the file, that of ONNX 1.16: every ONNX Runtime from 1.18 on reads it
_SHORTEST = 1e-12  # as in `functional.normalize`
_LEAST_VARIANCE = 1e-5  # as in `stage_statistics`


def residual_graph(net: ResidualNet, height: int, width: int) -> Any:
    """An `onnx.ModelProto` of `net.learnt(images).pooled`.

    Args:
        net: the network, folded or not.
        height: of the images, which are `(n, 3, height, width)`; `n` is free.
        width: of the images.
    """
    graph = _Graph()
    maps: list[str] = []
    sizes = [(height, width)]
    x = INPUT
    for stage in cast("Sequence[nn.Sequential]", net.folded().stages):
        entry = cast("nn.Conv2d", stage[0])
        sizes.append(_size_after(entry, *sizes[-1]))
        x = graph.add("Relu", graph.convolution(x, entry))
        for block in stage:
            if isinstance(block, ResidualBlock):
                y = graph.add("Relu", graph.convolution(x, block.conv1))
                x = graph.add("Relu", graph.add("Add", x, graph.convolution(y, block.conv2)))
        maps.append(x)
    layout = graph.means_on_grid(maps[-2], *sizes[-2])
    blocks = [graph.means(maps[-1]), layout, *map(graph.statistics, maps[:-1])]
    graph.add("Concat", *map(graph.unit, blocks), into=OUTPUT, axis=1)
    columns = net.dimension - net.blocks_of_descriptor[-1].dimension
    return graph.model((3, height, width), (columns,))


def _size_after(convolution: nn.Conv2d, *size: int) -> tuple[int, int]:
    """Rows and columns of what a convolution, alike both ways, makes of a map of so many."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    rows, columns = (
        (side + 2 * int(convolution.padding[0]) - kernel) // stride + 1 for side in size
    )
    return rows, columns


class _Graph:
    """Operators in the order in which they were added, with their constants."""

    def __init__(self) -> None:
        self._onnx = library("onnx")
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, operator: str, *inputs: str, into: str = "", **attributes: Any) -> str:
        """One operator; returns the name of what it makes."""
        name = into or f"v{len(self._nodes)}"
        self._nodes.append(
            self._onnx.helper.make_node(operator, list(inputs), [name], name=name, **attributes)
        )
        return name

    def constant(self, values: NDArray[Any]) -> str:
        """The name of an array of numbers."""
        name = f"c{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(values, name))
        return name

    def convolution(self, x: str, module: nn.Module) -> str:
        """A folded convolution."""
        layer = cast("nn.Conv2d", module)
        weights = [
            self.constant(_array(layer.weight)),
            self.constant(_array(cast("Tensor", layer.bias))),
        ]
        padding = [int(each) for each in layer.padding]
        return self.add(
            "Conv",
            x,
            *weights,
            kernel_shape=list(layer.kernel_size),
            strides=list(layer.stride),
            pads=padding * 2,
        )

    def means(self, x: str) -> str:
        """`(n, c, h, w)` to the `(n, c)` means over space."""
        return self.add("Flatten", self.add("GlobalAveragePool", x))

    def means_on_grid(self, x: str, rows: int, columns: int) -> str:
        """`adaptive_avg_pool2d(x, GRID).flatten(1)` as one product with a matrix of weights."""
        each = torch.eye(rows * columns).view(-1, 1, rows, columns)
        weights = functional.adaptive_avg_pool2d(each, GRID).flatten(1)
        flat = self.add("Reshape", x, self.constant(np.array([0, 0, -1])))
        return self.add("Flatten", self.add("MatMul", flat, self.constant(_array(weights))))

    def statistics(self, x: str) -> str:
        """`stage_statistics`."""
        mean = self.add("GlobalAveragePool", x)
        apart = self.add("Sub", x, mean)
        variance = self.means(self.add("Mul", apart, apart))
        least = self.constant(np.array(_LEAST_VARIANCE, np.float32))
        deviation = self.add("Sqrt", self.add("Add", variance, least))
        return self.add("Concat", self.add("Flatten", mean), deviation, axis=1)

    def unit(self, x: str) -> str:
        """Rows at unit length."""
        length = self.add("ReduceL2", x, self.constant(np.array([1])), keepdims=1)
        shortest = self.constant(np.array(_SHORTEST, np.float32))
        return self.add("Div", x, self.add("Max", length, shortest))

    def model(self, image: Sequence[int], row: Sequence[int]) -> Any:
        """All of it, from `INPUT` to `OUTPUT`, for any number of images."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        ends = [
            helper.make_tensor_value_info(name, kind, ["n", *shape])
            for name, shape in ((INPUT, image), (OUTPUT, row))
        ]
        graph = helper.make_graph(self._nodes, "learnt", ends[:1], ends[1:], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = _FORMAT
        self._onnx.checker.check_model(model, full_check=True)
        return model


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().cpu().contiguous().numpy()
    return array
