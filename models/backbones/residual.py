"""The bundled backbone: a small residual convnet whose descriptor keeps layout and texture.

Plain 3x3 convolutions with ReLU, because on a CPU they run at the machine's peak while grouped
or depthwise ones reach half of it or less. No global pooling throws away what attribution needs:
the descriptor joins the pooled last stage (semantics), a grid of the stage before it (layout),
the mean and deviation of every earlier stage (colour and texture), and oriented gradients of the
picture itself, which find an unchanged layout better than anything learnt here.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.backbones.features import Backbone, Features
from models.backbones.gradients import COLUMNS, mirrored, oriented_gradients
from models.parts import Part, consecutive_parts

GRID = 4


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around an identity (He et al., CVPR 2016, basic block)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1: nn.Module = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1: nn.Module = nn.BatchNorm2d(width)
        self.conv2: nn.Module = nn.Conv2d(width, width, 3, padding=1, bias=False)
        last = nn.BatchNorm2d(width)
        nn.init.zeros_(last.weight)
        self.norm2: nn.Module = last

    def forward(self, x: Tensor) -> Tensor:
        """`(n, c, h, w)` to the same shape."""
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        return functional.relu(x + self.norm2(self.conv2(y)), inplace=True)

    def fold(self) -> None:
        """Make the normalisations part of the convolutions before them."""
        self.conv1, self.norm1 = _folded(self.conv1, self.norm1)
        self.conv2, self.norm2 = _folded(self.conv2, self.norm2)


class ResidualNet(Backbone):
    """Stem of stride 4, then stages of residual blocks with stride-2 convolutions between.

    Args:
        widths: channels of each stage.
        blocks: residual blocks of each stage; 0 leaves the stride-2 convolution alone.
    """

    def __init__(
        self, widths: Sequence[int] = (48, 96, 192, 384), blocks: Sequence[int] = (1, 1, 2, 0)
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"{len(widths)} widths but {len(blocks)} block counts")
        self.widths, self.blocks = tuple(widths), tuple(blocks)
        stages: list[nn.Module] = []
        before = 3
        for index, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            entry = (
                nn.Conv2d(before, width, 4, stride=4, bias=False)
                if index == 0
                else nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False)
            )
            stages.append(
                nn.Sequential(
                    entry,
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                    *(ResidualBlock(width) for _ in range(count)),
                )
            )
            before = width
        self.stages = nn.ModuleList(stages)
        self.blocks_of_descriptor = descriptor_layout(widths)
        self.dimension = self.blocks_of_descriptor[-1].stop
        self.blocks_of_patches = consecutive_parts(
            [(f"stage{i}", width) for i, width in enumerate(widths[:-1], start=1)]
        )
        self.patch_dimension = self.blocks_of_patches[-1].stop

    def forward(self, images: Tensor) -> Features:
        """`(n, 3, H, W)`, H and W at least 32, to a descriptor and the last stage's map."""
        learnt = self.learnt(images)
        joined = torch.cat([learnt.pooled, self.measured(images)], dim=1)
        return Features(joined, learnt.patches)

    def patch_map(self, images: Tensor) -> Tensor:
        """Every stage but the last, each of unit length, on the grid of the second stage.

        The last stage's cells see half the picture, so they do not say where anything is.
        """
        maps = self._maps(images, len(self.stages) - 1)
        height, width = maps[min(1, len(maps) - 1)].shape[-2:]
        return torch.cat([_unit(_on_grid(each, (height, width))) for each in maps], dim=1)

    def learnt(self, images: Tensor) -> Features:
        """`forward` without the last block of the descriptor, which has no weights to train."""
        maps = self._maps(images, len(self.stages))
        layout = functional.adaptive_avg_pool2d(maps[-2], GRID).flatten(1)
        blocks = [maps[-1].mean(dim=(2, 3)), layout]
        blocks += [stage_statistics(each) for each in maps[:-1]]
        return Features(torch.cat([_unit(block) for block in blocks], dim=1), maps[-1])

    def measured(self, images: Tensor, views: int = 1) -> Tensor:
        """The last block of the descriptor: oriented gradients."""
        gradients = _unit(oriented_gradients(images))
        return gradients if views == 1 else torch.cat([gradients, mirrored(gradients)])

    def folded(self) -> ResidualNet:
        """A copy whose normalisations are part of the convolutions before them."""
        net = copy.deepcopy(self).eval()
        for stage in cast("Sequence[nn.Sequential]", net.stages):
            stage[0], stage[1] = _folded(stage[0], stage[1])
            for block in stage:
                if isinstance(block, ResidualBlock):
                    block.fold()
        return net.requires_grad_(requires_grad=False)

    def _maps(self, images: Tensor, stages: int) -> list[Tensor]:
        """What the first stages see, one after the other."""
        maps: list[Tensor] = []
        x = images
        for stage in self.stages[:stages]:
            x = stage(x)
            maps.append(x)
        return maps


def descriptor_layout(widths: Sequence[int]) -> tuple[Part, ...]:
    """Name the slices of the descriptor: `global`, `layout`, `stage1`, ..., `gradients`."""
    earlier = [(f"stage{i}", 2 * width) for i, width in enumerate(widths[:-1], start=1)]
    return consecutive_parts(
        [
            ("global", widths[-1]),
            ("layout", GRID * GRID * widths[-2]),
            *earlier,
            ("gradients", COLUMNS),
        ]
    )


def stage_statistics(x: Tensor) -> Tensor:
    """Mean and standard deviation of every channel over space: `(n, c, h, w) -> (n, 2c)`."""
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
    return torch.cat([mean, (variance + 1e-5).sqrt()], dim=1)


def _on_grid(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average a finer map down to `grid`, interpolate a coarser one up to it."""
    if x.shape[-2] > grid[0]:
        return functional.adaptive_avg_pool2d(x, grid)
    return functional.interpolate(x, size=grid, mode="bilinear", align_corners=False)


def _folded(convolution: nn.Module, norm: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A convolution that normalises too, and nothing to do after it."""
    pair = cast("nn.Conv2d", convolution), cast("nn.BatchNorm2d", norm)
    return fuse_conv_bn_eval(*pair), nn.Identity()


def _unit(x: Tensor) -> Tensor:
    return functional.normalize(x, dim=1)
