"""The bundled backbone: a small residual convnet whose descriptor keeps layout and texture.

Plain 3x3 convolutions with ReLU, because on a CPU they run at the machine's peak while grouped
or depthwise ones reach half of it or less. No global pooling throws away what attribution needs:
the descriptor joins the pooled last stage (semantics), a grid of the stage before it (layout),
the mean and deviation of every earlier stage (colour and texture), and oriented gradients of the
picture itself, which find an unchanged layout better than anything learnt here.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.backbones.features import Backbone, Block, Features
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
        return self._joined(maps[-1], layout, [stage_statistics(each) for each in maps[:-1]])

    def semantics(self, images: Tensor) -> Tensor:
        """The pooled last stage as it is."""
        return self._maps(images, len(self.stages))[-1].mean(dim=(2, 3))

    def _joined(self, last: Tensor, layout: Tensor, statistics: Sequence[Tensor]) -> Features:
        blocks = [last.mean(dim=(2, 3)), layout, *statistics]
        return Features(torch.cat([_unit(block) for block in blocks], dim=1), last)

    @property
    def projections(self) -> Mapping[str, slice]:
        """The pooled last stage, the layout grid, and the statistics of the earlier stages."""
        layout = {part.name: part for part in self.blocks_of_descriptor}
        stages = [part for part in self.blocks_of_descriptor if part.name.startswith("stage")]
        return {
            "semantics": layout["global"].columns,
            "structure": layout["layout"].columns,
            "appearance": slice(stages[0].start, stages[-1].stop),
        }

    def blocks_of_network(self) -> tuple[Block, ...]:
        """The entry of each stage with its norm, and each residual block."""
        return tuple(block for blocks in self._blocks_by_stage() for block in blocks)

    def _blocks_by_stage(self) -> list[list[Block]]:
        split = [list(cast("nn.Sequential", stage).children()) for stage in self.stages]
        return [
            [Block(tuple(modules[:3])), *(Block((module,)) for module in modules[3:])]
            for modules in split
        ]

    def begun(self, images: Tensor, blocks: int) -> Tensor:
        """The map, and of each stage that is complete what the descriptor takes of it, flat."""
        x, taken = self._run(images, [], 0, blocks)
        return torch.cat([x.flatten(1), *taken], dim=1)

    def finished(self, begun: Tensor, blocks: int) -> Features:
        """The rest of the blocks."""
        counts = [len(stage) for stage in self._blocks_by_stage()]
        ends = list(accumulate(counts))
        entered = sum(end - count < blocks for end, count in zip(ends, counts, strict=True))
        widths = [2 * width for width in self.widths[:-1]]
        widths[-1] += GRID * GRID * self.widths[-2]
        kept = widths[: sum(end <= blocks for end in ends[:-1])]
        flat, *taken = torch.split(begun, [begun.shape[1] - sum(kept), *kept], dim=1)
        width = self.widths[entered - 1]
        side = math.isqrt(flat.shape[1] // width)
        x, taken = self._run(flat.reshape(-1, width, side, side), taken, blocks, ends[-1])
        own = 2 * self.widths[-2]
        return self._joined(x, taken[-1][:, own:], [*taken[:-1], taken[-1][:, :own]])

    def _run(
        self, x: Tensor, taken: list[Tensor], first: int, last: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Blocks `first` up to `last`; what the descriptor takes of a complete stage is added."""
        place = 0
        for number, stage in enumerate(self._blocks_by_stage()):
            for block in stage:
                if first <= place < last:
                    for module in block.modules:
                        x = module(x)
                place += 1
            if first < place <= last and number < len(self.stages) - 1:
                pieces = [stage_statistics(x)]
                if number == len(self.stages) - 2:
                    pieces.append(functional.adaptive_avg_pool2d(x, GRID).flatten(1))
                taken = [*taken, torch.cat(pieces, dim=1)]
        return x, taken

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
