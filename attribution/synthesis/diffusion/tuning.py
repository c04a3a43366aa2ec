"""Tunes a text-to-image model to described pictures: reads top to bottom, resumes exactly."""

from __future__ import annotations

import hashlib
import io
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW

from attribution.files import replacing
from attribution.synthesis.diffusion.networks import Networks
from attribution.synthesis.diffusion.painter import paint
from attribution.synthesis.diffusion.recipe import TuningRecipe
from attribution.synthesis.diffusion.updates import add_updates, learning, save_updates
from models.published.untrusted import UNREADABLE

CHECKPOINT = "tuning.pt"
_LONG = 2 * 3600.0  # seconds after which a processor is the wrong machine


class ForeignTuning(ValueError):
    """The folder holds a run of another recipe, model, prompts or pictures, or a damaged one."""


class Diverged(RuntimeError):
    """The loss is not a number."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture to learn from.

    Attributes:
        image: RGB.
        prompt: which names the class and, with preservation, the context.
    """

    image: Image.Image
    prompt: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run will take, by one step that was tried.

    Attributes:
        steps: still to be taken.
        seconds: for all of them, samples left out.
        memory: largest so far in bytes: of the process, or of the GPU where one computes.
        device: where it computes.
    """

    steps: int
    seconds: float
    memory: int
    device: str

    def __str__(self) -> str:
        """One sentence for people."""
        hours, minutes = self.seconds / 3600, self.seconds / 60
        duration = f"{hours:.1f} hours" if hours >= 1 else f"{minutes:.0f} minutes"
        told = f"{self.steps:,} steps: about {duration} and {self.memory / 1e9:.1f} GB"
        slow = self.device == "cpu" and self.seconds > _LONG
        return f"{told} on this CPU; use a GPU (--device cuda)" if slow else told


class Tuning:
    """A run: the noise that was added to pictures is predicted from their prompts.

    Every step draws from a stream of its own, so that a run that was killed goes on to the same
    weights, bit for bit on the same machine.

    Args:
        networks: of a model without updates; they are added to it.
        shots: at least one.
        recipe: the settings.
        folder: of checkpoint, samples and result; a run there is gone on with.

    Raises:
        ForeignTuning: it cannot be.
        ValueError: no picture.
    """

    def __init__(
        self, networks: Networks, shots: Sequence[Shot], recipe: TuningRecipe, folder: Path
    ) -> None:
        if not shots:
            raise ValueError("there is no picture to learn from")
        self._networks, self._shots, self._recipe = networks, tuple(shots), recipe
        self._folder = folder
        self._pixels = [_scaled(shot.image, recipe.size) for shot in shots]
        self._digest = _digest(networks, self._shots, self._pixels, recipe)
        self.steps = recipe.steps(len(shots))
        add_updates(networks, recipe)
        self._learning = learning(networks)
        self._optimizer = AdamW(
            self._learning.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.step = 0
        self._resume()

    def cost(self) -> Cost:
        """Try a step without learning from it."""
        begun = time.perf_counter()
        torch.autograd.backward(self._loss(self.step))
        self._optimizer.zero_grad(set_to_none=True)
        left = self.steps - self.step
        kind = self._networks.device.type
        if kind == "cuda":
            memory = torch.cuda.max_memory_allocated()
        else:
            unit = 1 if sys.platform == "darwin" else 1024
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return Cost(left, left * (time.perf_counter() - begun), memory, kind)

    def run(self, on_step: Callable[[int, float], None] | None = None) -> Path:
        """Go to the end and write the updates.

        Args:
            on_step: called with the number of steps taken and the loss of the last.

        Returns:
            The file of the updates.

        Raises:
            Diverged: with the step and what to change.
        """
        recipe = self._recipe
        while self.step < self.steps:
            loss = self._take_step()
            if on_step is not None:
                on_step(self.step, loss)
            last = self.step == self.steps
            if recipe.sample_every and (last or self.step % recipe.sample_every == 0):
                self._sample()
            if last or self.step % recipe.checkpoint_every == 0:
                self._save()
        return save_updates(self._networks, self._folder)

    def _take_step(self) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.rate(self.step, self.steps)
        loss = self._loss(self.step)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise Diverged(f"the loss is {value} at step {self.step}: lower learning_rate")
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._learning.values(), self._recipe.largest_norm)
        self._optimizer.step()
        self.step += 1
        return value

    def _loss(self, step: int) -> Tensor:
        """Mean squared error of the predicted noise, or velocity where the model predicts that.

        Ho et al., NeurIPS 2020, equation 14; for velocity Salimans and Ho, ICLR 2022.
        """
        networks, recipe = self._networks, self._recipe
        random = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        chosen = self._batch(step)
        crops = torch.stack([_crop(self._pixels[place], recipe.size, random) for place in chosen])
        vae, noise, device = networks.pipeline.vae, networks.noise, networks.device
        with torch.no_grad():
            spread = vae.encode(crops.to(device)).latent_dist
            drawn = torch.randn(spread.mean.shape, generator=random).to(device)
            latents = (spread.mean + spread.std * drawn) * vae.config.scaling_factor
        added = torch.randn(latents.shape, generator=random).to(device)
        last = noise.config.num_train_timesteps
        times = torch.randint(last, (len(chosen),), generator=random).to(device)
        prompts = [self._shots[place].prompt for place in chosen]
        told, further = networks.conditions(prompts, recipe.size)
        found = networks.pipeline.unet(
            noise.add_noise(latents, added, times),
            times,
            encoder_hidden_states=told,
            added_cond_kwargs=further,
        ).sample
        velocity = noise.config.prediction_type == "v_prediction"
        wanted = noise.get_velocity(latents, added, times) if velocity else added
        return functional.mse_loss(found.float(), wanted.float())

    def _batch(self, step: int) -> list[int]:
        """Which pictures a step sees: every epoch has its own order and all of them."""
        count, size = len(self._shots), self._recipe.batch
        epoch, place = divmod(step, -(-count // size))
        random = torch.Generator().manual_seed(self._recipe.seed * 7_919 + epoch)
        order: list[int] = torch.randperm(count, generator=random).tolist()
        return order[place * size : (place + 1) * size]

    def _sample(self) -> None:
        """A picture of the first prompt, so that somebody can see how far it is."""
        folder = self._folder / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        recipe = self._recipe
        asked = [(self._shots[0].prompt, 0)]
        [image] = paint(self._networks, asked, steps=recipe.sample_steps, size=recipe.size)
        with replacing(folder / f"{self.step:06d}.png", aside=folder / ".png") as file:
            image.save(file, "PNG")

    def _save(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        state = {
            "digest": self._digest,
            "step": self.step,
            "updates": {name: value.detach() for name, value in self._learning.items()},
            "optimizer": self._optimizer.state_dict(),
        }
        with replacing(self._folder / CHECKPOINT, aside=self._folder / f".{CHECKPOINT}") as file:
            torch.save(state, file)

    def _resume(self) -> None:
        path = self._folder / CHECKPOINT
        if not path.is_file():
            return
        data = io.BytesIO(path.read_bytes())
        try:
            state = torch.load(data, map_location="cpu", weights_only=True)
        except UNREADABLE as error:
            raise ForeignTuning(f"{path}: cannot be read; remove it to begin anew") from error
        if not isinstance(state, dict) or state.get("digest") != self._digest:
            raise ForeignTuning(
                f"{path}: is of another recipe, model, prompts or pictures; "
                "give another folder, or remove it to begin anew"
            )
        with torch.no_grad():
            for name, parameter in self._learning.items():
                parameter.copy_(state["updates"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def _scaled(image: Image.Image, size: int) -> Tensor:
    """`(3, h, w)` bytes with `size` as the short side."""
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    small = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)


def _crop(pixels: Tensor, size: int, random: torch.Generator) -> Tensor:
    """A random square, `(3, size, size)` in [-1, 1]."""
    height, width = pixels.shape[1:]
    top = int(torch.randint(height - size + 1, (), generator=random))
    left = int(torch.randint(width - size + 1, (), generator=random))
    return pixels[:, top : top + size, left : left + size].float() / 127.5 - 1


def _digest(
    networks: Networks, shots: Sequence[Shot], pixels: Sequence[Tensor], recipe: TuningRecipe
) -> str:
    total = hashlib.sha256(recipe.model_dump_json().encode())
    total.update(networks.digest.encode())
    for shot, values in zip(shots, pixels, strict=True):
        buffer = io.BytesIO()
        np.save(buffer, values.numpy())
        total.update(hashlib.sha256(shot.prompt.encode()).digest())
        total.update(buffer.getvalue())
    return total.hexdigest()
