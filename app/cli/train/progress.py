"""What runs of `attribution train` read and show: names held out, images, progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.progress import Progress

from app.cli.console import out, progress, warn
from app.cli.failures import BadInvocation
from app.cli.images import names_in
from attribution.calibration import SMALLEST_STRATUM
from attribution.training.data.images import ImageSet, member_names
from attribution.training.distributed import rank
from attribution.training.recipe.config import TrainingConfig
from attribution.training.run.monitor import HeldOutMetrics
from attribution.training.run.trainer import StepReport, Trainer
from models.backbones.features import Backbone


def names_kept_out(background: Path | None, images: Sequence[Path]) -> frozenset[str]:
    """Names to keep out of training. What matches no image is better said before than after."""
    wanted = names_in(background)
    found = wanted & member_names(images)
    if background is not None and not found:
        raise BadInvocation(
            f"{background}: none of its {len(wanted)} names is among the images. Names are paths "
            "within the folder or tar file given, such as deep/photo.jpg"
        )
    if found != wanted:
        warn(f"{background}: {len(wanted - found)} names are not among the images")
    if found and len(found) < SMALLEST_STRATUM:
        warn(
            f"{background}: {len(found)} background images bear out no alpha below "
            f"{1 / (len(found) + 1):.2g}, and smaller ones are refused: give 1,000 or more"
        )
    return found


def read_with_bar(read: Callable[[Callable[[int], None]], ImageSet]) -> ImageSet:
    """What `read` reads, with progress, of which it tells the function given to it."""
    with first_process_bar() as bar:
        task = bar.add_task("Reading images", total=None)
        images = read(lambda count: bar.update(task, completed=count))
        bar.update(task, total=len(images))
    return images


def run_trainer(trainer: Trainer, recipe: TrainingConfig, phase: str = "") -> Backbone:
    """Train to the end, with progress, and say what held-out images showed last."""
    columns = {
        "loss": "loss {task.fields[loss]}",
        "rank": "rank {task.fields[rank]}",
        "held_out": "{task.fields[held_out]}",
    }
    measured: list[HeldOutMetrics] = []
    with first_process_bar(**columns) as bar:
        cached = bar.add_task(
            "Computing frozen blocks", total=None, visible=False, loss="", rank="", held_out=""
        )
        task = bar.add_task(
            f"Training {phase}".rstrip(),
            total=recipe.steps,
            completed=trainer.step,
            loss="-",
            rank="-",
            held_out="",
        )

        def show(report: StepReport) -> None:
            bar.update(task, completed=report.step, loss=f"{report.loss:.3f}")
            if report.effective_rank is not None:
                bar.update(task, rank=f"{report.effective_rank:.0f}")
            if report.held_out is not None:
                measured.append(report.held_out)
                bar.update(task, held_out=f"mAP {report.held_out.mean_average_precision:.3f}")

        net = trainer.run(
            show,
            lambda done, total: bar.update(cached, completed=done, total=total, visible=True),
        )
    if measured:
        last = measured[-1]
        out.print(
            f"Images held out: alignment {last.alignment:.3f}, uniformity {last.uniformity:.2f}, "
            f"effective rank {last.effective_rank:.0f}, log-determinant "
            f"{last.log_determinant:.2f}; mixtures of two find both with mAP "
            f"{last.mean_average_precision:.3f}, one at once {last.hit_at_1:.3f}"
        )
    return net


def first_process_bar(**columns: str) -> Progress:
    """A progress bar in the first of several processes."""
    bar = progress(**columns)
    bar.disable = bar.disable or rank() > 0
    return bar
