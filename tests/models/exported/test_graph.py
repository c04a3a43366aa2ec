"""The graph written for ONNX Runtime does what the network does in torch."""

import numpy as np
import onnx
import pytest
import torch

from models.exported.graph import residual_graph
from models.exported.session import OnnxEngine
from tests.support.encoders import trained_network


def engine_of(net, size, folder) -> OnnxEngine:
    path = folder / "net.onnx"
    path.write_bytes(residual_graph(net, *size).SerializeToString())
    return OnnxEngine(path, threads=1)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (72, 40)])
@pytest.mark.parametrize("count", [1, 5])
def test_it_gives_the_rows_of_torch(tmp_path, size, count):
    net = trained_network()
    images = torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = net.learnt(images).pooled
    found = engine_of(net, size, tmp_path).learnt(images)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-6)


def test_three_stages_and_pixels_in_any_order_of_memory_will_do(tmp_path):
    net = trained_network((8, 8, 8), (0, 1, 0))
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    engine = engine_of(net, (32, 32), tmp_path)
    with torch.inference_mode():
        expected = net.learnt(images).pooled
    for layout in (torch.contiguous_format, torch.channels_last):
        found = engine.learnt(images.to(memory_format=layout))
        assert torch.allclose(found, expected, atol=1e-6)


def test_an_image_of_one_colour_has_finite_rows(tmp_path):
    rows = engine_of(trained_network(), (32, 32), tmp_path).learnt(torch.zeros(1, 3, 32, 32))
    assert torch.isfinite(rows).all()


def test_normalisations_are_folded_and_the_number_of_images_is_free():
    graph = residual_graph(trained_network(), 32, 32).graph
    operators = {node.op_type for node in graph.node}
    assert "BatchNormalization" not in operators
    assert [node.op_type for node in graph.node].count("Conv") == 4 + 2 * 3
    [images] = graph.input
    sides = images.type.tensor_type.shape.dim
    assert sides[0].dim_param
    assert [side.dim_value for side in sides[1:]] == [3, 32, 32]
    kinds = {onnx.helper.tensor_dtype_to_np_dtype(each.data_type) for each in graph.initializer}
    assert kinds <= {np.dtype(np.float32), np.dtype(np.int64)}
