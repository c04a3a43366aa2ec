"""The training loop: reads top to bottom, resumes exactly, says when features collapse."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from attribution.training.data.images import ImageSet, NoImages
from attribution.training.distributed import average_gradients, rank, world_size
from attribution.training.objective.guidance import Guided
from attribution.training.objective.pairing import Views, draw_views
from attribution.training.recipe.config import TrainingConfig
from attribution.training.recipe.preflight import check_run
from attribution.training.recipe.schedule import learning_rate
from attribution.training.recipe.scope import frozen_blocks, train_within
from attribution.training.run.cached_views import VIEWS, CachedViews
from attribution.training.run.checkpoint import resume_run, save_run
from attribution.training.run.journal import Journal
from attribution.training.run.monitor import HeldOutMetrics, Monitor, split
from attribution.training.run.spread import effective_rank
from attribution.training.run.state import new_run
from models.backbones.features import Backbone
from models.images.preprocessing import Preprocessing

logger = logging.getLogger(__name__)


class TrainingCollapsed(RuntimeError):
    """The loss is not a number, or the features have shrunk to a few directions."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one optimiser step did."""

    step: int
    size: int
    loss: float
    terms: dict[str, float]
    effective_rank: float | None
    """Of the pooled features of the batch; every 50 steps."""
    images_per_second: float
    held_out: HeldOutMetrics | None = None
    """Of the averaged network; every `monitor_every` steps, in the first process."""


class Trainer:
    """Trains a network on unlabelled images, in one process or in several alike.

    In several (`distributed.process_group`) each draws all views of a batch and describes its
    share of them; the first writes. They share a file system.

    Args:
        config: the recipe.
        images: what to train on, at least one batch besides what is held out.
        folder: where checkpoints and metrics go; a checkpoint there is resumed, if of the same
            recipe and images.
        device: `cpu` or `cuda`.
        initial: a network that the run starts from and leaves as it is; the project's own from
            scratch by default.
        shape: as which the network sees images; by default as the project's own.
        phase: of a recipe of several: its checkpoints go to a folder of this name, its metrics
            beside those of the others.

    Raises:
        UnfitRun: the recipe cannot run on this device or with so many processes.
        NoImages: fewer than a batch.
        ForeignRun: the folder holds another run.
    """

    def __init__(
        self,
        config: TrainingConfig,
        images: ImageSet,
        folder: Path,
        device: str = "cpu",
        *,
        initial: Backbone | None = None,
        shape: Preprocessing | None = None,
        phase: str = "",
    ) -> None:
        check_run(config, device, world_size(), initial)
        self.images, held_out = split(images, config.held_out)
        if len(self.images) < config.batch:
            raise NoImages(
                f"{len(self.images)} images are fewer than a batch of {config.batch}: "
                "give more images or a smaller --batch"
            )
        self.config, self.folder, self.device, self._phase = config, folder, device, phase
        shape = shape or Preprocessing(config.image_side, config.image_side)
        self._kept = folder / phase
        # The digest is of all pixels: once, not at every checkpoint.
        self._run = new_run(config, images.digest, device, initial, shape)
        self.net, self.objective = self._run.net, self._run.objective
        self.average = self._run.average
        self._monitor = None
        if held_out is not None:
            size, frozen = config.stages[-1].size, len(frozen_blocks(self.net, config.scope))
            self._monitor = Monitor(held_out, size, device, config.seed, shape, frozen=frozen)
        self._cached = None
        if config.cached_views:
            digest, where = self._run.digest, folder / VIEWS
            self._cached = CachedViews(where, self.net, config, self.images, digest, shape, device)
        self.step = resume_run(self._run, self._kept, device)
        if self.step:
            logger.info("resumed at step %d of %d", self.step, config.steps)

    @property
    def held_out(self) -> int:
        """Images that training does not see, because metrics are measured on them."""
        return 0 if self._monitor is None else len(self._monitor)

    @property
    def to_cache(self) -> CachedViews | None:
        """The views of frozen blocks, where steps are left that take them from the disk."""
        return self._cached if self.step < self.config.steps else None

    def run(
        self,
        on_step: Callable[[StepReport], None] | None = None,
        on_cached: Callable[[int, int], None] | None = None,
    ) -> Backbone:
        """Train to the end and return the averaged network, in evaluation mode.

        Args:
            on_step: called after each step.
            on_cached: called with the batches whose views are on the disk, of how many.

        Raises:
            UnfitRun: the disk has no room for the views of frozen blocks.
            TrainingCollapsed: with the step and what to change.
        """
        self.objective.train()
        train_within(self.net, self.config.scope)
        if self.to_cache is not None:
            self.to_cache.fill(on_cached)
        journal = Journal(self.folder, self.step, self._phase)
        first = rank() == 0
        try:
            for rows in self._batches():
                report = self._take_step(rows)
                if first:
                    report = self._watch(report, journal)
                if on_step is not None:
                    on_step(report)
                if first and self._due(self.config.checkpoint_every):
                    save_run(self._run, self.step, self._kept)
        finally:
            journal.close()
        return self._averaged().eval()

    def _take_step(self, rows: Tensor) -> StepReport:
        config, step, begun = self.config, self.step, time.perf_counter()
        for group in self._run.optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        size = config.size_at(step)
        views, guided = self._draw(rows, size)
        loss = self.objective(views, self.net, self._run.precision.describe, step, guided)
        self._update(loss.total)
        value = float(loss.total.detach())
        self._refuse_divergence(value)
        spread = effective_rank(loss.semantics) if step % 50 == 0 else None
        self._refuse_collapse(spread)
        speed = len(rows) / (time.perf_counter() - begun)
        return StepReport(self.step, size, value, loss.terms, spread, speed)

    def _draw(self, rows: Tensor, size: int) -> tuple[Views, Guided | None]:
        """This process's views of a step, from the disk or drawn, and composites if asked for."""
        if self._cached is not None:
            return self._cached.views(self.step).shared(), None
        seed = self.config.seed * 1_000_003 + self.step
        generator = torch.Generator(self.device).manual_seed(seed)
        images = self.images.batch(rows, self.device)
        views = draw_views(images, size, self.config, self.net, generator).shared()
        # Drawn last, so that the views are those of a run without this term.
        guidance = self.objective.guidance
        return views, None if guidance is None else guidance.draw(images, size, generator)

    def _update(self, loss: Tensor) -> None:
        optimizer, scaler = self._run.optimizer, self._run.precision.scaler
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(scaler.scale(loss))
        average_gradients(p for group in optimizer.param_groups for p in group["params"])
        scaler.step(optimizer)
        scaler.update()
        self.objective.alignment.after_update(self.net, self.step)
        self.average.update_parameters(self.net)
        self.step += 1

    def _watch(self, report: StepReport, journal: Journal) -> StepReport:
        """Note the step; every so often measure what has been learnt, and write it down."""
        journal.add(
            {
                "train/loss": report.loss,
                **{f"train/{name}": value for name, value in report.terms.items()},
                "train/images_per_second": report.images_per_second,
            }
        )
        if not self._due(self.config.monitor_every):
            return report
        held_out = None if self._monitor is None else self._monitor.measure(self._averaged())
        measured = {} if held_out is None else asdict(held_out)
        journal.write(
            report.step,
            {
                "train/size": report.size,
                "train/learning_rate": learning_rate(self.config, report.step - 1),
                **{f"held_out/{name}": value for name, value in measured.items()},
            },
        )
        return replace(report, held_out=held_out)

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.steps

    def _averaged(self) -> Backbone:
        return cast("Backbone", self.average.module)

    def _refuse_divergence(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise TrainingCollapsed(
                f"the loss is {loss} at step {self.step}: lower learning_rate in "
                "the recipe, --disentanglement-weight or --provenance-weight"
            )

    def _refuse_collapse(self, spread: float | None) -> None:
        if spread is not None and self.step > self.config.warmup and spread < 2.0:
            raise TrainingCollapsed(
                f"effective rank {spread:.2f} at step {self.step}: all images look alike to the "
                "encoder; raise --disentanglement-weight, or lower temperature in the recipe"
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
