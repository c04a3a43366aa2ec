"""Checkpoints in the layout of Stable Diffusion, tiny and random, with a tokenizer that works."""

from __future__ import annotations

import json
from pathlib import Path

import torch

SIDE = 16


def write_checkpoint(
    folder: Path, *, extra_large: bool = False, prediction="epsilon", checked: bool = False
) -> Path:
    """A pipeline of the real classes, saved the way published ones are; with a safety checker?"""
    import diffusers  # noqa: PLC0415 (an extra)
    import transformers  # noqa: PLC0415 (an extra)

    torch.manual_seed(0)
    tokenizer = _tokenizer(folder.with_name(folder.name + "-words"))
    config = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "projection_dim": 16,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    text = transformers.CLIPTextModel(transformers.CLIPTextConfig(**config))
    further = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 16 + 6 * 8,
    }
    unet = diffusers.UNet2DConditionModel(
        sample_size=SIDE // 2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32 if extra_large else 16,
        **(further if extra_large else {}),
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        sample_size=SIDE,
    )
    scheduler = diffusers.DDIMScheduler(
        num_train_timesteps=100,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )
    parts = {
        "vae": vae, "text_encoder": text, "tokenizer": tokenizer, "unet": unet,
        "scheduler": scheduler,
    }  # fmt: skip
    if extra_large:
        second = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**config))
        pipeline = diffusers.StableDiffusionXLPipeline(
            **parts, text_encoder_2=second, tokenizer_2=tokenizer, add_watermarker=False
        )
    else:
        checker = _checker() if checked else {"safety_checker": None, "feature_extractor": None}
        pipeline = diffusers.StableDiffusionPipeline(
            **parts, **checker, requires_safety_checker=checked
        )
    pipeline.save_pretrained(folder)
    return folder


def _checker():
    import transformers  # noqa: PLC0415 (an extra)
    from diffusers.pipelines.stable_diffusion import safety_checker  # noqa: PLC0415 (likewise)

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    vision = {**sizes, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}
    config = transformers.CLIPConfig(vision_config=vision, projection_dim=16)
    return {
        "safety_checker": safety_checker.StableDiffusionSafetyChecker(config),
        "feature_extractor": transformers.CLIPImageProcessor(
            size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
        ),
    }


def _tokenizer(folder: Path):
    import tokenizers  # noqa: PLC0415 (an extra)
    import transformers  # noqa: PLC0415 (an extra)

    folder.mkdir(parents=True)
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    known = [*letters, *(f"{letter}</w>" for letter in letters), "ph", "pho</w>"]
    known += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(known)}))
    (folder / "merges.txt").write_text("#version: 0.2\np h\nph o</w>\n")
    return transformers.CLIPTokenizer.from_pretrained(folder, model_max_length=77)
