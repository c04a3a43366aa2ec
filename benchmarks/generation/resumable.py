"""Trains a network so that a kill loses little and changes nothing; knows no task."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from attribution.files import replacing


class OtherRun(ValueError):
    """A file holds a training of another pace."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a training is, and how fast.

    Attributes:
        steps: of the whole run.
        batch: samples of a step.
        rate: the highest learning rate, reached after `warmup` steps, then half a cosine to 0.
        warmup: steps of a linear rise.
        memory: how much the average of weights keeps of itself at each step, once it has seen many.
        keep_every: steps after which a kill loses nothing.
    """

    steps: int
    batch: int
    rate: float
    warmup: int = 100
    memory: float = 0.999
    keep_every: int = 500

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * 0.5 * (1 + math.cos(math.pi * done))


def train(
    module: nn.Module, loss: Callable[[int], Tensor], pace: Pace, file: Path, name: str
) -> None:
    """Train to the end, or go on where `file` was left; the module ends with averaged weights.

    Weights are averaged as `a <- m a + (1 - m) w` with `m = min(memory, (1 + t) / (10 + t))`.

    Args:
        module: in training mode; afterwards in evaluation mode.
        loss: of a step by its number, which decides all that it draws.
        pace: how long, and how fast.
        file: of the state.
        name: of what is trained, for the lines that are printed.

    Raises:
        OtherRun: the file is of another pace.
    """
    settings = json.dumps(asdict(pace))
    parameters = [each for each in module.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, pace.rate, betas=(0.9, 0.99), weight_decay=0.01)
    average = {key: value.detach().clone() for key, value in module.state_dict().items()}
    begun = 0
    if file.is_file():
        state = torch.load(file, map_location="cpu", weights_only=True)
        if state["pace"] != settings:
            raise OtherRun(f"{file} is of another pace: remove it to begin anew")
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        average, begun = state["average"], state["step"]
    started, total = time.perf_counter(), 0.0
    for step in range(begun, pace.steps):
        for group in optimizer.param_groups:
            group["lr"] = pace.rate_at(step)
        found = loss(step)
        optimizer.zero_grad(set_to_none=True)
        found.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        _follow(average, module, min(pace.memory, (1 + step) / (10 + step)))
        total += found.item()
        done = step + 1
        if done % pace.keep_every == 0 or done == pace.steps:
            state = {"pace": settings, "step": done, "module": module.state_dict(),
                     "average": average, "optimizer": optimizer.state_dict()}  # fmt: skip
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file, aside=file.with_suffix(".tmp")) as opened:
                torch.save(state, opened)
            taken = done % pace.keep_every or min(pace.keep_every, done - begun)
            speed = (done - begun) / (time.perf_counter() - started)
            print(f"{time.strftime('%H:%M:%S')} {name} {done}/{pace.steps} "
                  f"loss {total / taken:.4f} {speed:.2f} steps/s", flush=True)  # fmt: skip
            total = 0.0
    module.load_state_dict(average)
    module.eval()


@torch.no_grad()
def _follow(average: dict[str, Tensor], module: nn.Module, memory: float) -> None:
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            average[key].lerp_(value, 1 - memory)
        else:
            average[key].copy_(value)
