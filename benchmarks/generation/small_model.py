"""A text-to-image model of diffusers' own classes, small enough to train on a processor.

Text encoder, tokenizer with a vocabulary of its own, U-Net, autoencoder and schedule are those of
Stable Diffusion, so that a folder of it is read, tuned and sampled by the same code as a published
model. It predicts velocity (Salimans and Ho, ICLR 2022) with a schedule that ends in pure noise, so
that ten steps of DDIM do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from world import MARKS, OUTLINES, POSES, SIDE, TEXTURES

from attribution.synthesis.context.captioner import Context
from attribution.synthesis.context.prompts import prompt

DESCRIPTOR = "thing"
_START, _END = "<|startoftext|>", "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class Size:
    """Of the networks.

    Attributes:
        unet: channels of each level, from 16 x 16 latents down.
        heads: of attention, on every level but the first.
        layers: residual blocks of a level.
        text: width of the text encoder.
        text_layers: how many.
        tokens: of a prompt, at most.
        autoencoder: channels at 32 and at 16 pixels.
        latents: channels of a latent image.
    """

    unet: tuple[int, ...] = (48, 64, 96)
    heads: int = 4
    layers: int = 1
    text: int = 96
    text_layers: int = 3
    tokens: int = 24
    autoencoder: tuple[int, int] = (16, 32)
    latents: int = 4


def make_pipeline(size: Size, folder: Path, seed: int = 0) -> Any:
    """Everything with random weights.

    Args:
        size: of the networks.
        folder: where the files of the tokenizer are written first.
        seed: of the weights.
    """
    import diffusers  # noqa: PLC0415  # an extra
    import transformers  # noqa: PLC0415

    torch.manual_seed(seed)
    tokenizer = _tokenizer(folder, size.tokens)
    text = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=size.text,
            intermediate_size=3 * size.text,
            num_hidden_layers=size.text_layers,
            num_attention_heads=size.heads,
            max_position_embeddings=size.tokens,
            projection_dim=size.text,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    levels = len(size.unet)
    unet = diffusers.UNet2DConditionModel(
        sample_size=SIDE // 2,
        in_channels=size.latents,
        out_channels=size.latents,
        block_out_channels=size.unet,
        layers_per_block=size.layers,
        norm_num_groups=8,
        attention_head_dim=size.heads,  # the number of heads, by an old mistake of theirs
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * (levels - 1)),
        up_block_types=(*("CrossAttnUpBlock2D",) * (levels - 1), "UpBlock2D"),
        cross_attention_dim=size.text,
    )
    autoencoder = diffusers.AutoencoderKL(
        block_out_channels=size.autoencoder,
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=size.latents,
        sample_size=SIDE,
        mid_block_add_attention=False,
    )
    scheduler = diffusers.DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )
    return diffusers.StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def without_bars() -> None:
    """Loading shows a bar for each file, which says nothing beside the lines of a run."""
    import diffusers  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()


def parameters(pipeline: Any) -> dict[str, int]:
    """Weights of each network."""
    return {
        name: sum(each.numel() for each in getattr(pipeline, name).parameters())
        for name in ("unet", "text_encoder", "vae")
    }


def token_ids(pipeline: Any, prompts: Iterable[str]) -> torch.Tensor:
    """`(n, tokens)`, padded as the pipeline pads them."""
    ids: torch.Tensor = pipeline.tokenizer(
        list(prompts), padding="max_length", truncation=True, return_tensors="pt"
    ).input_ids
    return ids


def _tokenizer(folder: Path, tokens: int) -> Any:
    """Every word of every prompt is a token; the names of all kinds share theirs."""
    import tokenizers  # noqa: PLC0415  # comes with the extra
    import transformers  # noqa: PLC0415

    said = prompt("", Context("", ""), descriptor=DESCRIPTOR).split()
    words = sorted({*said, *OUTLINES, *MARKS, "-", ","}
                   | {word for each in (*TEXTURES, *POSES) for word in each.split()})  # fmt: skip
    learnt = tokenizers.Tokenizer(tokenizers.models.BPE(end_of_word_suffix="</w>"))
    learnt.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=5_000, min_frequency=1, end_of_word_suffix="</w>", show_progress=False
    )
    learnt.train_from_iterator([word.strip(",") for word in words if word != ","], trainer)
    merges = [" ".join(each) for each in json.loads(learnt.to_str())["model"]["merges"]]
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    known = [*letters, *(f"{letter}</w>" for letter in letters)]
    known += [each for each in dict.fromkeys(m.replace(" ", "") for m in merges)
              if each not in set(known)]  # fmt: skip
    known += [_START, _END]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(known)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    return transformers.CLIPTokenizer.from_pretrained(folder, model_max_length=tokens)
