"""The base of the benches: a small text-to-image model that knows a world, and no class of it.

    python benchmarks/generation/base_model.py [--quick] [--runs runs/generation]

Trained once, on things of the twenty other kinds whose context is independent of their kind, with
captions that say all of it, or only the kind, or nothing. First the autoencoder, then U-Net and
text encoder together. Every step draws from a stream of its own, states are kept every few hundred
steps and what is done is not repeated, so that a run which was killed goes on to the same weights.
The result is `BASE/model` in the layout of diffusers, which `attribution generate --model` takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from resumable import Pace, train
from small_model import DESCRIPTOR, Size, make_pipeline, parameters, token_ids
from torch import Generator, Tensor, nn
from torch.nn import functional
from world import KINDS, OTHERS, TEXTURES, render, uncorrelated

from attribution.synthesis.context.prompts import prompt

PLAIN, EMPTY = 0.2, 0.1
"""Shares of the training prompts that say only the kind, and that say nothing."""
_SPREAD = 1e-4  # weight of the divergence of latents from a standard normal


@dataclass(frozen=True, slots=True)
class Base:
    """What is trained, and for how long.

    Attributes:
        size: of the networks.
        pictures: that are drawn of the world.
        autoencoder: pace of the first part.
        denoiser: pace of the second.
    """

    size: Size
    pictures: int
    autoencoder: Pace
    denoiser: Pace


FULL = Base(
    Size(),
    pictures=24_000,
    autoencoder=Pace(steps=2_000, batch=16, rate=2e-3),
    denoiser=Pace(steps=7_000, batch=24, rate=1e-3, warmup=200),
)
QUICK = Base(
    Size(unet=(32, 64), text=48, text_layers=2, autoencoder=(16, 24)),
    pictures=1_500,
    autoencoder=Pace(steps=300, batch=16, rate=3e-3, keep_every=100, memory=0.99),
    denoiser=Pace(steps=400, batch=16, rate=2e-3, keep_every=100, memory=0.99),
)


def train_base(base: Base, folder: Path) -> Path:
    """The folder of the model, which is made where there is none.

    Args:
        base: what is trained.
        folder: of the model and of everything on the way.
    """
    model = folder / "model"
    if (model / "model_index.json").is_file():
        return model
    pipeline = make_pipeline(base.size, folder / "words")
    print(f"weights: {parameters(pipeline)}", flush=True)
    rng = np.random.default_rng(20)
    things = uncorrelated(base.pictures, OTHERS, rng, len(TEXTURES))
    pixels = torch.from_numpy(render(things, rng)).permute(0, 3, 1, 2).contiguous()
    names = [KINDS[kind] for kind in things.kinds.tolist()]
    full = [prompt(*each, descriptor=DESCRIPTOR)
            for each in zip(names, things.contexts, strict=True)]  # fmt: skip
    plain = [prompt(name, None, descriptor=DESCRIPTOR) for name in names]
    said = torch.stack([token_ids(pipeline, each) for each in (full, plain, [""] * len(names))])

    autoencoder = pipeline.vae.train()
    train(autoencoder, _copying(autoencoder, pixels, base.autoencoder.batch),
          base.autoencoder, folder / "autoencoder.pt", "autoencoder")  # fmt: skip
    latents = _latents(autoencoder, pixels)
    autoencoder.register_to_config(scaling_factor=float(1 / latents.std()))

    both = nn.ModuleDict({"unet": pipeline.unet, "text": pipeline.text_encoder}).train()
    loss = _denoising(pipeline, latents / latents.std(), said, base.denoiser.batch)
    train(both, loss, base.denoiser, folder / "denoiser.pt", "denoiser")
    pipeline.save_pretrained(folder / ".model")
    (folder / ".model").replace(model)
    return model


def _copying(autoencoder: Any, pixels: Tensor, batch: int) -> Callable[[int], Tensor]:
    """Absolute error of copies, with latents kept near a standard normal."""

    def loss(step: int) -> Tensor:
        draw = Generator().manual_seed(step)
        chosen = pixels[torch.randint(len(pixels), (batch,), generator=draw)].float() / 127.5 - 1
        spread = autoencoder.encode(chosen).latent_dist
        noise = torch.randn(spread.mean.shape, generator=draw)
        copies = autoencoder.decode(spread.mean + spread.std * noise).sample
        return functional.l1_loss(copies, chosen) + _SPREAD * spread.kl().mean() / 256

    return loss


def _latents(autoencoder: Any, pixels: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat(
            [
                autoencoder.encode(part.float() / 127.5 - 1).latent_dist.mean
                for part in pixels.split(128)
            ]
        )


def _denoising(pipeline: Any, latents: Tensor, said: Tensor, batch: int) -> Callable[[int], Tensor]:
    """Mean squared error of the predicted velocity.

    Args:
        pipeline: whose U-Net and text encoder learn.
        latents: `(n, c, h, w)` of unit spread.
        said: `(3, n, tokens)`: the full prompts, the plain ones and nothing.
        batch: of a step.
    """
    scheduler = pipeline.scheduler

    def loss(step: int) -> Tensor:
        draw = Generator().manual_seed(1_000_003 + step)
        rows = torch.randint(len(latents), (batch,), generator=draw)
        chance = torch.rand(batch, generator=draw)
        kinds = (chance < PLAIN + EMPTY).long() + (chance < EMPTY).long()
        told = pipeline.text_encoder(said[kinds, rows])[0]
        noise = torch.randn(latents[rows].shape, generator=draw)
        times = torch.randint(scheduler.config.num_train_timesteps, (batch,), generator=draw)
        noisy = scheduler.add_noise(latents[rows], noise, times)
        wanted = scheduler.get_velocity(latents[rows], noise, times)
        found = pipeline.unet(noisy, times, encoder_hidden_states=told).sample
        return functional.mse_loss(found, wanted)

    return loss


def main() -> None:
    """Train the base, or go on."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tiny one, in minutes")
    parser.add_argument("--runs", type=Path, default=Path("runs/generation"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    name = "base-quick" if arguments.quick else "base"
    print(train_base(QUICK if arguments.quick else FULL, arguments.runs / name))


if __name__ == "__main__":
    main()
