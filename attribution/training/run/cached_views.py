"""What frozen blocks make of a fixed number of view sets, once, on disk; knows no loss.

A set has every image of an epoch in a pair with another: two views of each and what mixes both.
Every epoch takes the next set and joins its pairs to new batches, so that an image meets the same
views again after so many epochs as there are sets, but never the same negatives.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attribution.training.data.images import ImageSet
from attribution.training.distributed import rank, wait_for_all, world_size
from attribution.training.objective.pairing import PASTED, Views, draw_views
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.preflight import UnfitRun
from attribution.training.recipe.scope import frozen_blocks, train_within
from models.backbones.features import Backbone
from models.images.preprocessing import Preprocessing

VIEWS = "views"
"""Folder of a run; nothing in it is needed once the run has ended."""
_WIDE, _LOCAL, _DONE, _KEY = "views.f16", "local.f16", "done.u8", "key.json"


class CachedViews:
    """The views of a run whose first blocks are frozen, as those blocks leave them.

    Several processes share the work and the files. A cache of the same images, recipe and frozen
    weights is gone on with where it was left.

    Args:
        folder: of the files, created by `fill`.
        net: that learns, its first blocks frozen; on its device.
        config: the recipe, with `cached_views`.
        images: that are trained on.
        digest: of them.
        shape: as which the network sees images.
        device: of the network.
    """

    def __init__(
        self,
        folder: Path,
        net: Backbone,
        config: TrainingConfig,
        images: ImageSet,
        digest: str,
        shape: Preprocessing,
        device: str,
    ) -> None:
        self._folder, self._net, self._config = folder, net, config
        self._images, self._shape, self._device = images, shape, device
        self.blocks = len(frozen_blocks(net, config.scope))
        if not self.blocks:
            raise UnfitRun(
                f"--scope {config.scope} freezes nothing, so cached_views have nothing to keep: "
                "leave them out, or give a smaller N"
            )
        self._batches = len(images) // config.batch
        self._half = config.batch // 2
        train_within(net, config.scope)
        mixed = [1] if config.draws_mixed else []
        crops = config.local_crops
        wide = self._begun(torch.zeros(1, 3, config.stages[0].size, config.stages[0].size))
        count = config.cached_views * self._batches
        self._shapes = {_WIDE: (count * self._half, 4 + len(mixed), *wide.shape[1:])}
        if crops:
            side = net.local_side(config.local_size)
            small = self._begun(torch.zeros(1, 3, side, side))
            self._shapes[_LOCAL] = (count * self._half, 2, crops, *small.shape[1:])
        self._shapes[_DONE] = (count,)
        self._key = self._identity(digest)

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(math.prod(self._shapes[name]) * _kind(name)().itemsize for name in self._shapes)

    def require_room(self) -> None:
        """Refuse before anything is computed what the disk cannot hold.

        Raises:
            UnfitRun: with how much there is and what to change.
        """
        place = next(each for each in (self._folder, *self._folder.parents) if each.exists())
        kept = sum(file.stat().st_blocks * 512 for file in self._folder.glob("*"))
        room = shutil.disk_usage(place).free + kept
        if self.bytes > room:
            raise UnfitRun(
                f"the views of frozen blocks take {self.bytes:,} bytes and {place} has room for "
                f"{room:,}: give fewer --cached-views, smaller stages in the recipe, fewer images, "
                "or another --out"
            )

    def fill(self, on_batch: Callable[[int, int], None] | None = None) -> None:
        """Compute what is not there yet; called with batches done and to be done.

        Raises:
            UnfitRun: no room, or values that float16 does not hold.
        """
        if rank() == 0:
            self._prepare()
        wait_for_all()
        files = self._open("r+")
        total = len(files[_DONE])
        for number in range(rank(), total, world_size()):
            if not files[_DONE][number]:
                self._fill(files, number)
            if on_batch is not None:
                on_batch(min(total, number + world_size()), total)
        wait_for_all()

    def views(self, step: int) -> Views:
        """The views of a step, of the whole batch."""
        files = self._open("r")
        epoch, place = divmod(step, self._batches)
        first = epoch % self._config.cached_views * self._batches * self._half
        chosen = first + self._pairs(epoch)[place]
        wide = torch.from_numpy(np.asarray(files[_WIDE][chosen])).to(self._device)
        local = None
        if _LOCAL in files:
            small = torch.from_numpy(np.asarray(files[_LOCAL][chosen])).to(self._device)
            local = torch.cat(small.unbind(dim=1))
        mild, strong = torch.cat([wide[:, 0], wide[:, 1]]), torch.cat([wide[:, 2], wide[:, 3]])
        return Views(mild, strong, wide[:, 4] if wide.shape[1] > 4 else wide[:0, 0], local)

    def _pairs(self, epoch: int) -> NDArray[np.int64]:
        """`(batches, n/2)` pairs of a set: as many collages first in a batch as when drawn."""
        seed = torch.Generator().manual_seed(self._config.seed * 7_919 + epoch)
        pasted = self._half // PASTED if self._config.draws_mixed else 0
        places = torch.arange(self._batches * self._half).view(self._batches, self._half)
        drawn = []
        for pool in (places[:, :pasted], places[:, pasted:]):
            mixed = pool.flatten()[torch.randperm(pool.numel(), generator=seed)]
            drawn.append(mixed.view(pool.shape))
        joined: NDArray[np.int64] = torch.cat(drawn, dim=1).numpy()
        return joined

    def _fill(self, files: dict[str, NDArray[np.generic]], number: int) -> None:
        """Compute a batch of a set; both are told by its number."""
        config, half = self._config, self._half
        of_set, place = divmod(number, self._batches)
        seed = torch.Generator().manual_seed(config.seed * 15_485_863 + of_set)
        order = torch.randperm(len(self._images), generator=seed)
        rows = order[place * config.batch : (place + 1) * config.batch]
        generator = torch.Generator(self._device).manual_seed(config.seed * 32_452_843 + number)
        images = self._images.batch(rows, self._device)
        size = config.stages[0].size
        views = draw_views(images, size, config, self._net, generator)
        groups = [*views.mild.chunk(2), *views.strong.chunk(2)]
        groups += [views.mixed] if len(views.mixed) else []
        wide = self._begun(torch.cat(groups)).chunk(len(groups))
        places = slice(number * half, (number + 1) * half)
        files[_WIDE][places] = torch.stack(wide, dim=1).numpy()
        if views.local is not None:
            small = self._begun(views.local.flatten(0, 1))
            small = small.reshape(2, half, -1, *small.shape[1:])
            files[_LOCAL][places] = small.transpose(0, 1).numpy()
        for name in files.keys() - {_DONE}:
            _flush(files[name])
        files[_DONE][number] = 1  # after the rest, so that what it vouches for is there
        _flush(files[_DONE])

    @torch.no_grad()
    def _begun(self, images: Tensor) -> Tensor:
        """float16, on the CPU, of images in [0, 1]."""
        wide = next(self._net.parameters()).dtype
        scaled = self._shape.scaled(images.to(self._device)).to(
            wide, memory_format=torch.channels_last
        )
        half = self._net.begun(scaled, self.blocks).half().cpu()
        if not half.isfinite().all():
            raise UnfitRun(
                "float16 does not hold what the frozen blocks give: leave out --cached-views"
            )
        return half

    def _prepare(self) -> None:
        """Files of the right sizes; those of other views are replaced."""
        self.require_room()
        key = self._folder / _KEY
        if key.exists() and key.read_text() == self._key:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._open("w+")
        key.write_text(self._key)

    def _open(self, mode: str) -> dict[str, NDArray[np.generic]]:
        return {
            name: np.memmap(self._folder / name, _kind(name), mode=mode, shape=shape)  # type: ignore[call-overload]
            for name, shape in self._shapes.items()
        }

    def _identity(self, digest: str) -> str:
        """All that decides on what the files hold, as JSON."""
        config = self._config
        told = ("seed", "batch", "cached_views", "local_crops", "local_size", "local_scale")
        weights = hashlib.sha256()
        for block in frozen_blocks(self._net, config.scope):
            tensors: Sequence[Tensor] = [
                *block.parameters,
                *(value for module in block.modules for value in module.state_dict().values()),
            ]
            for tensor in tensors:
                weights.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return json.dumps(
            {
                "images": digest,
                "trained_on": len(self._images),
                "weights": weights.hexdigest(),
                "blocks": self.blocks,
                "size": config.stages[0].size,
                "mixed": config.draws_mixed,
                "mean": self._shape.mean,
                "std": self._shape.std,
                **{name: getattr(config, name) for name in told},
            }
        )


def _kind(name: str) -> type[np.generic]:
    return np.uint8 if name == _DONE else np.float16


def _flush(file: NDArray[np.generic]) -> None:
    if isinstance(file, np.memmap):
        file.flush()
