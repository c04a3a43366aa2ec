"""ResNet-50 (He et al., CVPR 2016), the network of the convolutional DINO and MoCo files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from models.backbones.features import Backbone, Block, Features


class ResNet50(Backbone):
    """Global average of the last stage (2048 values) and its map, 32 pixels to a cell.

    Args:
        options: passed on to timm, for example `layers`.
    """

    network: Any  # timm is untyped

    def __init__(self, **options: Any) -> None:
        import timm  # noqa: PLC0415 (takes seconds)

        super().__init__()
        self.network = timm.create_model("resnet50", pretrained=False, num_classes=0, **options)
        self.dimension = self.patch_dimension = int(self.network.num_features)

    def forward(self, images: Tensor) -> Features:
        """`(n, 3, H, W)` to `(n, 2048)` and `(n, 2048, ceil(H / 32), ceil(W / 32))`."""
        return _pooled(self.network.forward_features(images))

    def blocks_of_network(self) -> tuple[Block, ...]:
        """The stem, then the four stages."""
        network = self.network
        stages = (network.layer1, network.layer2, network.layer3, network.layer4)
        return (Block((network.conv1, network.bn1)), *(Block((stage,)) for stage in stages))

    def begun(self, images: Tensor, blocks: int) -> Tensor:
        """The map of the last of the first blocks."""
        network = self.network
        x: Tensor = network.maxpool(network.act1(network.bn1(network.conv1(images))))
        return _through(self.blocks_of_network()[1:blocks], x)

    def finished(self, begun: Tensor, blocks: int) -> Features:
        """The rest of the stages."""
        return _pooled(_through(self.blocks_of_network()[max(1, blocks) :], begun))


def _through(stages: Sequence[Block], x: Tensor) -> Tensor:
    for stage in stages:
        x = stage.modules[0](x)
    return x


def _pooled(last: Tensor) -> Features:
    return Features(pooled=last.mean(dim=(2, 3)), patches=last)
