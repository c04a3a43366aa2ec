"""ResNet-50 (He et al., CVPR 2016), the network of the convolutional DINO and MoCo files."""

from __future__ import annotations

from typing import Any, Literal

import timm
from torch import Tensor

from models.backbones.features import Backbone, Features


class ResNet50(Backbone):
    """Global average of the last stage (2048 values) and its map.

    Args:
        output_stride: pixels to a cell of the map. 16 dilates the last stage for a map twice as
            fine; the weights are the same, the features no longer quite those published.
    """

    network: Any  # timm is untyped

    def __init__(self, output_stride: Literal[16, 32] = 32) -> None:
        super().__init__()
        self.network = timm.create_model(
            "resnet50", pretrained=False, num_classes=0, output_stride=output_stride
        )
        self.dimension = self.patch_dimension = int(self.network.num_features)

    def forward(self, images: Tensor) -> Features:
        """`(n, 3, H, W)` to `(n, 2048)` and `(n, 2048, ceil(H / stride), ceil(W / stride))`."""
        last: Tensor = self.network.forward_features(images)
        return Features(pooled=last.mean(dim=(2, 3)), patches=last)
