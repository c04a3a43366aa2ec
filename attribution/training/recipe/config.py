"""Every knob of a training run, with what it does; saved whole beside the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FORMER_NAMES = {
    "logdet_weight": "disentanglement_weight",
    "logdet_batches": "disentanglement_batches",
}
"""Fields of older recipes, from when the log-determinant was the only disentanglement."""


class BadRecipe(ValueError):
    """The file does not hold a training recipe; the message says what is wrong with it."""


class ResolutionStage(BaseModel):
    """A stretch of training at one image size."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: int = Field(ge=32, multiple_of=16, description="Side of a view in pixels.")
    steps: int = Field(ge=1, description="Optimiser steps at this size.")


class TrainingConfig(BaseModel):
    """Recipe of a label-free run; the bundled encoder's is `benchmarks/bundled_encoder.yaml`.

    A field that a recipe lacks has its default, and a field added later has the default that
    means what runs did before, so that an older run resumes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(
        0, ge=0, lt=2**63, description="Everything random follows from it and the step number."
    )
    initial: str = Field(
        "", description="Digest of the weights that the run starts from; empty from scratch."
    )
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (48, 96, 192, 384), min_length=2, description="Channels of each stage."
    )
    blocks: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (1, 1, 2, 0), description="Residual blocks of each stage."
    )
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
    alignment: Literal["simclr", "moco", "dino"] = Field(
        "simclr",
        description="What draws views together. `simclr`: the batch gives the negatives. `moco`: "
        "a momentum teacher gives the keys and a queue the negatives. `dino`: the semantics "
        "predict a momentum teacher's prototypes, without negatives.",
    )
    temperature: float = Field(0.2, gt=0, description="Of every contrastive term.")
    decoupled: bool = Field(
        default=True, description="Leave the positive out of the denominator (DCL)."
    )
    projection: int = Field(128, ge=8, description="Columns that the contrastive terms see.")
    teacher_momentum: float = Field(
        0.99, ge=0, lt=1, description="moco, dino: of the teacher at first; a cosine leads to 1."
    )
    queue: int = Field(4096, ge=1, description="moco: keys of earlier batches, as negatives.")
    prototypes: int = Field(2048, ge=2, description="dino: classes of teacher and student.")
    prototype_freeze: int = Field(
        150, ge=0, description="dino: first steps in which prototypes stay; about an epoch."
    )
    student_temperature: float = Field(0.1, gt=0, description="dino: of the student's classes.")
    teacher_temperature: float = Field(
        0.07, gt=0, description="dino: of the teacher's classes after its warm-up."
    )
    teacher_temperature_start: float = Field(
        0.04, gt=0, description="dino: the same at first; lower it if the centre wins."
    )
    teacher_temperature_warmup: int = Field(
        600, ge=0, description="dino: steps from the one to the other."
    )
    views: Literal["plain", "synthesis-aware"] = Field(
        "synthesis-aware",
        description="`plain`: alignment of a mild and a strong view of each image only. "
        "`synthesis-aware`: besides, pictures that mix two images must find both.",
    )
    mixed_weight: float = Field(
        0.5, ge=0, description="Weight of mixed views on the pooled features; 0 drops that term."
    )
    role_weight: float = Field(
        0.5, ge=0, description="Weight of the structure term and of the appearance term."
    )
    disentanglement: Literal["logdet", "koleo", "ica", "none"] = Field(
        "none",
        description="Infomax term on the pooled features: log-determinant of their covariance, "
        "distance to the nearest neighbour, independence of unmixed columns, or none, for none "
        "was worth anything before a head of CCA.",
    )
    disentanglement_weight: float = Field(0.1, ge=0, description="Its weight; was `logdet_weight`.")
    disentanglement_batches: int = Field(
        5, ge=1, description="logdet, ica: batches it is estimated on; was `logdet_batches`."
    )
    provenance_weight: float = Field(
        0.0,
        ge=0,
        description="Weight of what the score of a composite's source owes to the other source's "
        "pixels; 0 leaves composites for it undrawn.",
    )
    provenance_mask: Literal["true", "random", "full"] = Field(
        "true",
        description="Which pixels those are: by the `true` mask, or for control by a `random` one, "
        "that of another composite, or everywhere, `full`.",
    )
    scope: str = Field(
        "full",
        pattern=r"^(full|last-[1-9][0-9]*)$",
        description="What learns: the `full` network, or its `last-N` blocks, an entry "
        "convolution or a residual block each; those before keep weights and statistics.",
    )
    precision: Literal["float32", "mixed"] = Field(
        "float32",
        description="`mixed`: half precision in the network, on a GPU; losses are always float32, "
        "the log-determinant float64.",
    )
    average: float = Field(0.998, ge=0, lt=1, description="Decay of the weight average kept.")
    checkpoint_every: int = Field(100, ge=1, description="Steps between checkpoints.")
    held_out: int = Field(
        0,
        ge=0,
        description="Last images of the set, at most a tenth of it, that training never sees and "
        "metrics are measured on; 0 switches that off.",
    )
    monitor_every: int = Field(100, ge=1, description="Steps between lines of metrics.jsonl.")

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        for former, name in FORMER_NAMES.items():
            if former in fields and name in fields:
                raise ValueError(f"{former} is the former name of {name}: give one of them")
        renamed = {FORMER_NAMES.get(name, name): value for name, value in fields.items()}
        if fields.keys() & FORMER_NAMES.keys():
            renamed.setdefault("disentanglement", "logdet")
        return renamed

    @model_validator(mode="after")
    def _blocks_of_every_stage(self) -> TrainingConfig:
        if len(self.blocks) != len(self.widths):
            raise ValueError(
                f"{len(self.widths)} widths but {len(self.blocks)} numbers of blocks: give one of "
                "each a stage"
            )
        return self

    @model_validator(mode="after")
    def _teacher_sharpens(self) -> TrainingConfig:
        warmest = max(self.teacher_temperature, self.teacher_temperature_start)
        if self.alignment == "dino" and warmest >= self.student_temperature:
            raise ValueError(
                f"a teacher at temperature {warmest} teaches a student at "
                f"{self.student_temperature} nothing sharper than it knows: lower "
                "teacher_temperature"
            )
        return self

    @property
    def draws_mixed(self) -> bool:
        """Whether a step makes mixed views."""
        weighted = self.mixed_weight > 0 or self.role_weight > 0
        return self.views == "synthesis-aware" and weighted

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

        def scale(given: int) -> int:
            return min(given, max(1, round(given * ratio)))

        changes = {
            "stages": stages,
            "warmup": scale(self.warmup),
            "teacher_temperature_warmup": scale(self.teacher_temperature_warmup),
            "prototype_freeze": scale(self.prototype_freeze),
        }
        return self.model_copy(update=changes)


def read_config(path: Path | None) -> TrainingConfig:
    """The recipe of a YAML or JSON file; the default recipe for None.

    Raises:
        BadRecipe: unreadable, or with a field that is unknown or out of range.
    """
    if path is None:
        return TrainingConfig()
    try:
        return TrainingConfig.model_validate(_parse(path) or {})
    except ValidationError as error:
        wrong = "; ".join(_complaint(each["loc"], each["msg"]) for each in error.errors())
        raise BadRecipe(f"{path}: {wrong}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadRecipe(f"{path}: {error}") from error


def _complaint(place: tuple[int | str, ...], message: str) -> str:
    """Field and what is wrong with it; nothing of the library that found it."""
    message = message.removeprefix("Value error, ").replace(" or instance of TrainingConfig", "")
    return ": ".join(filter(None, (".".join(map(str, place)), message)))


def _parse(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    try:
        import yaml  # noqa: PLC0415  (the extra `train`)
    except ImportError as error:
        raise ValueError(
            'YAML needs the extra: pip install "attribution[train]"; or give JSON'
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
