"""The training loop: reads top to bottom, resumes exactly, says when features collapse."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from attribution.training.config import TrainingConfig
from attribution.training.disentanglement import effective_rank
from attribution.training.images import ImageSet, NoImages
from attribution.training.objective import Objective, make_views
from models.backbones.residual import ResidualNet

logger = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"


class TrainingCollapsed(RuntimeError):
    """The loss is not a number, or the features have shrunk to a few directions."""


class ForeignRun(ValueError):
    """The folder holds a checkpoint of another recipe or of other images."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one optimiser step did."""

    step: int
    steps: int
    size: int
    loss: float
    terms: dict[str, float]
    effective_rank: float | None
    """Of the pooled features of the batch; every 50 steps."""
    images_per_second: float


class Trainer:
    """Trains a `ResidualNet` from scratch on unlabelled images.

    Args:
        config: the recipe.
        images: what to train on, at least one batch.
        folder: where checkpoints go; a checkpoint there is resumed, if of the same recipe
            and images.
        device: `cpu` or `cuda`.
    """

    def __init__(
        self, config: TrainingConfig, images: ImageSet, folder: Path, device: str = "cpu"
    ) -> None:
        if len(images) < config.batch:
            raise NoImages(
                f"{len(images)} images are fewer than a batch of {config.batch}: "
                "give more images or a smaller --batch"
            )
        torch.manual_seed(config.seed)
        self.config, self.images, self.folder, self.device = config, images, folder, device
        net = ResidualNet(config.widths, config.blocks)
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.objective = Objective(net, config).to(device)
        self.average = AveragedModel(
            self.net,
            multi_avg_fn=get_ema_multi_avg_fn(config.average),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )
        self.optimizer = torch.optim.AdamW(
            _decayed([self.net, self.objective], config.weight_decay), lr=config.learning_rate
        )
        self.step = 0
        self._digest = images.digest  # of all pixels: once, not at every checkpoint
        self._resume()

    def run(self, on_step: Callable[[StepReport], None] | None = None) -> ResidualNet:
        """Train to the end and return the averaged network, in evaluation mode.

        Raises:
            TrainingCollapsed: with the step and what to change.
        """
        self.net.train()
        self.objective.train()
        for rows in self._batches():
            report = self._take_step(rows)
            if on_step is not None:
                on_step(report)
            if self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps:
                self._save()
        averaged = self.average.module
        if not isinstance(averaged, ResidualNet):
            raise TypeError("the weight average lost its network")
        return averaged.eval()

    def _take_step(self, rows: Tensor) -> StepReport:
        config, step, begun = self.config, self.step, time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        size = config.size_at(step)
        generator = torch.Generator(self.device).manual_seed(config.seed * 1_000_003 + step)
        images = self.images.batch(rows, self.device)
        mixing = config.mixed_weight > 0 or config.role_weight > 0
        views = make_views(images, size, generator, with_mixed=mixing)
        stacked = torch.cat([views.mild, views.strong, views.mixed]).sub_(0.5).div_(0.25)
        features = self.net(stacked.to(memory_format=torch.channels_last))
        loss = self.objective(features, len(rows))
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        self.optimizer.step()
        self.average.update_parameters(self.net)
        self.step += 1
        rank = None
        if step % 50 == 0:
            pooled = features.pooled[: len(rows), self.objective.columns["semantics"]]
            rank = effective_rank(pooled.detach())
        self._refuse_collapse(float(loss.total.detach()), rank)
        speed = len(rows) / (time.perf_counter() - begun)
        return StepReport(
            self.step, config.steps, size, float(loss.total.detach()), loss.terms, rank, speed
        )

    def _refuse_collapse(self, loss: float, rank: float | None) -> None:
        if not math.isfinite(loss):
            raise TrainingCollapsed(
                f"the loss is {loss} at step {self.step}: lower --learning-rate or --logdet-weight"
            )
        if rank is not None and self.step > self.config.warmup and rank < 2.0:
            raise TrainingCollapsed(
                f"effective rank {rank:.2f} at step {self.step}: all images look alike to the "
                "encoder; raise --logdet-weight or lower --temperature"
            )

    def _batches(self) -> Iterator[Tensor]:
        """Rows of each remaining step: every epoch its own permutation, the rest dropped."""
        per_epoch = len(self.images) // self.config.batch
        drawn, order = -1, torch.empty(0)
        for step in range(self.step, self.config.steps):
            epoch, place = divmod(step, per_epoch)
            if epoch != drawn:
                seed = torch.Generator().manual_seed(self.config.seed * 7_919 + epoch)
                drawn, order = epoch, torch.randperm(len(self.images), generator=seed)
            yield order[place * self.config.batch : (place + 1) * self.config.batch]

    def _save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / f"{CHECKPOINT}.new"
        torch.save(
            {
                "config": self.config.model_dump_json(),
                "images": self._digest,
                "step": self.step,
                "net": self.net.state_dict(),
                "objective": self.objective.state_dict(),
                "recent": self.objective.recent.state(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
            aside,
        )
        aside.replace(self.folder / CHECKPOINT)

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        kept: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        if kept["config"] != self.config.model_dump_json():
            raise ForeignRun(
                f"{path} was made by another recipe: choose another --out, or delete it"
            )
        if kept["images"] != self._digest:
            raise ForeignRun(
                f"{path} was trained on other images, perhaps on those now held out: choose "
                "another --out, or delete it"
            )
        self.step = kept["step"]
        self.net.load_state_dict(kept["net"])
        self.objective.load_state_dict(kept["objective"])
        self.objective.recent.restore(kept["recent"])
        self.average.load_state_dict(kept["average"])
        self.optimizer.load_state_dict(kept["optimizer"])
        logger.info("resumed at step %d of %d", self.step, self.config.steps)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of the peak."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def _decayed(modules: list[nn.Module], weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices and kernels, not norms and biases."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
