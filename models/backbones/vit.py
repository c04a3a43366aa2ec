"""Vision transformers as timm builds them; knows neither names of encoders nor weights files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from models.backbones.features import Backbone, Block, Features


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
        self.patch_size = self.multiple = int(self.network.patch_embed.patch_size[0])
        self._prefix = int(self.network.num_prefix_tokens)  # class token and registers
        plain = timm.models.vision_transformer.Block
        self._plain = type(self.network.blocks[-1]) is plain  # attention, then a perceptron a token

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
        return self._described(tokens, (height // self.patch_size, width // self.patch_size))

    def blocks_of_network(self) -> tuple[Block, ...]:
        """The blocks of the transformer; tokens and positions go with the first, the norm last."""
        network, bare = self.network, dict(self.network.named_parameters(recurse=False))
        blocks: list[list[nn.Module]] = [[block] for block in network.blocks]
        blocks[0] = [network.patch_embed, network.norm_pre, *blocks[0]]
        blocks[-1].append(network.norm)
        first, *others = (Block(tuple(modules)) for modules in blocks)
        return (Block(first.modules, tuple(bare.values())), *others)

    def begun(self, images: Tensor, blocks: int) -> Tensor:
        """`(n, t, d)` tokens after the first blocks."""
        [(patches, prefix)] = self.network.forward_intermediates(
            images,
            indices=[blocks - 1],
            return_prefix_tokens=True,
            norm=False,
            stop_early=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        return torch.cat([prefix, patches], dim=1)

    def finished(self, begun: Tensor, blocks: int) -> Features:
        """The rest of the blocks, with the positions that each is told where it has such."""
        side = math.isqrt(begun.shape[1] - self._prefix)
        tokens = self._through(self.network.blocks[blocks:], begun)
        return self._described(self.network.norm(tokens), (side, side))

    def finished_pooled(self, begun: Tensor, blocks: int) -> Tensor:
        """As of `finished`. Past the attention of the last block the class token is alone.

        There lie two thirds of the block's products, and nothing that the patches become enters.
        """
        left = list(self.network.blocks[blocks:])
        if not self._plain or not left:
            return super().finished_pooled(begun, blocks)
        *others, last = left
        tokens = self._through(others, begun)
        tokens = tokens + last.drop_path1(last.ls1(last.attn(last.norm1(tokens))))
        pooled = tokens[:, 0]
        pooled = pooled + last.drop_path2(last.ls2(last.mlp(last.norm2(pooled))))
        normed: Tensor = self.network.norm(pooled)
        return normed

    def _through(self, blocks: Iterable[nn.Module], tokens: Tensor) -> Tensor:
        side = math.isqrt(tokens.shape[1] - self._prefix)
        rope: nn.Module | None = getattr(self.network, "rope", None)
        told = {} if rope is None else {"rope": self.network.rope.get_embed(shape=(side, side))}
        for block in blocks:
            tokens = block(tokens, **told)
        return tokens

    def _described(self, tokens: Tensor, grid: tuple[int, int]) -> Features:
        patches = tokens[:, self._prefix :].transpose(1, 2)
        return Features(pooled=tokens[:, 0], patches=patches.reshape(*patches.shape[:2], *grid))
