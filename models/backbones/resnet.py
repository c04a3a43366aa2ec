"""ResNet-50 (He et al., CVPR 2016), the network of the convolutional DINO and MoCo files."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from models.backbones.features import Backbone, Features


class ResNet50(Backbone):
    """Global average of the last stage (2048 values) and its map, 32 pixels to a cell."""

    network: Any  # timm is untyped

    def __init__(self) -> None:
        import timm  # noqa: PLC0415 (takes seconds)

        super().__init__()
        self.network = timm.create_model("resnet50", pretrained=False, num_classes=0)
        self.dimension = self.patch_dimension = int(self.network.num_features)

    def forward(self, images: Tensor) -> Features:
        """`(n, 3, H, W)` to `(n, 2048)` and `(n, 2048, ceil(H / 32), ceil(W / 32))`."""
        last: Tensor = self.network.forward_features(images)
        return Features(pooled=last.mean(dim=(2, 3)), patches=last)
