"""Vision transformers as timm builds them; knows neither names of encoders nor weights files."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from models.backbones.features import Backbone, Features


class VisionTransformer(Backbone):
    """A timm ViT: the class token and the patch tokens, both after the last norm.

    Positions are resampled to the image, so any size that the patch divides is accepted.

    Args:
        architecture: timm's name of the network, without the tag of its weights.
        options: passed on to timm, for example `num_heads` or `depth`.
    """

    network: Any  # timm is untyped

    def __init__(self, architecture: str, **options: Any) -> None:
        import timm  # noqa: PLC0415 (takes seconds)

        super().__init__()
        self.network = timm.create_model(
            architecture,
            pretrained=False,
            num_classes=0,
            global_pool="token",
            dynamic_img_size=True,
            **options,
        )
        self.dimension = self.patch_dimension = int(self.network.num_features)
        self.patch_size = int(self.network.patch_embed.patch_size[0])
        self._prefix = int(self.network.num_prefix_tokens)  # class token and registers

    def forward(self, images: Tensor) -> Features:
        """`(n, 3, H, W)` to `(n, d)` and `(n, d, H / patch, W / patch)`.

        Raises:
            ValueError: the patch divides not both sides of the images.
        """
        height, width = images.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(
                f"images of {height} x {width} pixels cannot be cut into patches of "
                f"{self.patch_size}: resize both sides to a multiple of {self.patch_size}"
            )
        tokens: Tensor = self.network.forward_features(images)
        patches = tokens[:, self._prefix :].transpose(1, 2)
        grid = (height // self.patch_size, width // self.patch_size)
        return Features(pooled=tokens[:, 0], patches=patches.reshape(*patches.shape[:2], *grid))
