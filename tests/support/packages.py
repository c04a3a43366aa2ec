"""An installed package with a network in it, small but of the same interface as SSCD's."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.published.packaged import PackagedFile

WEIGHT = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


def install(folder: Path, monkeypatch, module: str = "small_network") -> PackagedFile:
    """Put a package of this name where Python finds it; its rows are of the mean colour."""
    package = folder / module
    package.mkdir()
    (package / "__init__.py").touch()
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["colour"], keepdims=0),
        helper.make_node("MatMul", ["colour", "weight"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 4])],
        [
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
            numpy_helper.from_array(WEIGHT, "weight"),
        ],
    )
    opset = helper.make_opsetid("", 18)
    written = helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()
    onnx.checker.check_model(written)
    (package / "net.onnx").write_bytes(written)
    monkeypatch.syspath_prepend(str(folder))
    return PackagedFile(
        module, "net.onnx", hashlib.sha256(written).hexdigest(), "pip install 'attribution[small]'"
    )


def rows_of(pixels: np.ndarray) -> np.ndarray:
    """What the network says of `(n, 3, h, w)` images in [0, 1], by its formula."""
    colour = np.rint(pixels * 255).mean(axis=(2, 3)) @ WEIGHT
    return colour / np.linalg.norm(colour, axis=1, keepdims=True)
