"""Every knob of a training run, with what it does; saved whole beside the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class BadRecipe(ValueError):
    """The file does not hold a training recipe; the message says what is wrong with it."""


class ResolutionStage(BaseModel):
    """A stretch of training at one image size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=32, multiple_of=16, description="Side of a view in pixels.")
    steps: int = Field(ge=1, description="Optimiser steps at this size.")


class TrainingConfig(BaseModel):
    """Recipe of a label-free run; the defaults made the bundled encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, description="Everything random follows from it and the step number.")
    widths: tuple[int, ...] = Field((48, 96, 192, 384), description="Channels of each stage.")
    blocks: tuple[int, ...] = Field((1, 1, 2, 0), description="Residual blocks of each stage.")
    image_side: int = Field(160, ge=32, description="Side at which images are kept in memory.")
    batch: int = Field(192, ge=8, multiple_of=2, description="Images a step.")
    stages: tuple[ResolutionStage, ...] = Field(
        (
            ResolutionStage(size=48, steps=1200),
            ResolutionStage(size=64, steps=520),
            ResolutionStage(size=96, steps=130),
        ),
        min_length=1,
        description="Progressive resolution: small views first, because they are cheap.",
    )
    learning_rate: float = Field(2e-3, gt=0, description="Peak of AdamW's cosine schedule.")
    warmup: int = Field(100, ge=0, description="Steps of linear warm-up.")
    weight_decay: float = Field(0.05, ge=0, description="AdamW's, on weights of convolutions.")
    temperature: float = Field(0.2, gt=0, description="Of every contrastive term.")
    decoupled: bool = Field(
        default=True, description="Leave the positive out of the denominator (DCL)."
    )
    projection: int = Field(128, ge=8, description="Columns that the contrastive terms see.")
    mixed_weight: float = Field(
        0.5, ge=0, description="Weight of mixed views on the pooled features; 0 switches them off."
    )
    role_weight: float = Field(
        0.5, ge=0, description="Weight of the structure term and of the appearance term."
    )
    logdet_weight: float = Field(
        0.1, ge=0, description="Weight of the Infomax log-determinant on the pooled features."
    )
    logdet_batches: int = Field(5, ge=1, description="Batches that estimate its covariance.")
    average: float = Field(0.998, ge=0, lt=1, description="Decay of the weight average kept.")
    checkpoint_every: int = Field(100, ge=1, description="Steps between checkpoints.")

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return sum(stage.steps for stage in self.stages)

    def size_at(self, step: int) -> int:
        """Side of a view at a step, counted from 0."""
        for stage in self.stages:
            if step < stage.steps:
                return stage.size
            step -= stage.steps
        return self.stages[-1].size

    def scaled(self, steps: int) -> TrainingConfig:
        """The same recipe in about `steps` steps, divided among the stages as before."""
        ratio = steps / self.steps
        stages = tuple(
            ResolutionStage(size=stage.size, steps=max(1, round(stage.steps * ratio)))
            for stage in self.stages
        )
        warmup = min(self.warmup, max(1, round(self.warmup * ratio)))
        return self.model_copy(update={"stages": stages, "warmup": warmup})


def read_config(path: Path | None) -> TrainingConfig:
    """The recipe of a YAML or JSON file; the default recipe for None.

    Raises:
        BadRecipe: unreadable, or with a field that is unknown or out of range.
    """
    if path is None:
        return TrainingConfig()
    try:
        return TrainingConfig.model_validate(_parse(path) or {})
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise BadRecipe(f"{path}: {error}") from error


def _parse(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise BadRecipe(f"{path}: {error}") from error
    try:
        import yaml  # noqa: PLC0415  (the extra `train`)
    except ImportError as error:
        raise BadRecipe(
            f'{path}: YAML needs the extra: pip install "attribution[train]"; or give JSON'
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadRecipe(f"{path}: {error}") from error
