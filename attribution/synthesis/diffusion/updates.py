"""Low-rank updates of a model's networks (LoRA; Hu et al., 2022), and their file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from attribution.files import flush
from attribution.synthesis.diffusion.networks import Networks
from attribution.synthesis.diffusion.recipe import TuningRecipe

FILE = "pytorch_lora_weights.safetensors"


def add_updates(networks: Networks, recipe: TuningRecipe) -> None:
    """Put updates that change nothing yet into U-Net and text encoders; only they learn."""
    from peft import LoraConfig  # noqa: PLC0415  # an extra

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        for network, modules in _with_modules(networks, recipe):
            config = LoraConfig(
                r=recipe.rank,
                lora_alpha=recipe.rank,
                init_lora_weights="gaussian",
                target_modules=list(modules),
            )
            network.add_adapter(config)


def learning(networks: Networks) -> dict[str, nn.Parameter]:
    """What learns, by a name that is the same in every run."""
    return {
        f"{place}.{name}": parameter
        for place, network in enumerate((networks.pipeline.unet, *networks.text_encoders))
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }


def save_updates(networks: Networks, folder: Path) -> Path:
    """Write them as diffusers' pipelines read them, in place of those already there.

    Returns:
        The file.
    """
    from diffusers.utils import convert_state_dict_to_diffusers  # noqa: PLC0415
    from peft.utils import get_peft_model_state_dict  # noqa: PLC0415

    def layers(network: Any) -> Any:
        return convert_state_dict_to_diffusers(get_peft_model_state_dict(network))

    names = ("text_encoder_lora_layers", "text_encoder_2_lora_layers")
    texts = dict(zip(names, map(layers, networks.text_encoders), strict=False))
    aside = f".{FILE}"
    networks.pipeline.save_lora_weights(
        folder, unet_lora_layers=layers(networks.pipeline.unet), weight_name=aside, **texts
    )
    flush(folder / aside)
    return (folder / aside).replace(folder / FILE)


def load_updates(networks: Networks, file: Path) -> None:
    """Take updates up into the model that they were made for."""
    networks.pipeline.load_lora_weights(file.parent, weight_name=file.name)


def _with_modules(
    networks: Networks, recipe: TuningRecipe
) -> Iterator[tuple[Any, tuple[str, ...]]]:
    yield networks.pipeline.unet, recipe.unet_modules
    for encoder in networks.text_encoders:
        yield encoder, recipe.text_modules
