"""Every knob of a training run, with what it does; saved whole beside the run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FORMER_NAMES = {
    "logdet_weight": "disentanglement_weight",
    "logdet_batches": "disentanglement_batches",
}
"""Fields of older recipes, from when the log-determinant was the only disentanglement."""


OWN = "residual"
"""The project's own network, which a run may start from scratch."""


class ResolutionStage(BaseModel):
    """A stretch of training at one image size."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: int = Field(ge=32, multiple_of=16, description="Side of a view in pixels.")
    steps: int = Field(ge=1, description="Optimiser steps at this size.")


class TrainingConfig(BaseModel):
    """Recipe of a label-free run, or of one phase of it (`recipe.recipes`).

    A field that a recipe lacks has its default, and a field added later has the default that
    means what runs did before, so that an older run resumes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(
        0,
        ge=0,
        lt=2**39,  # times the largest prime of a stream it stays within torch's 64 bits
        description="Everything random follows from it and the step number.",
    )
    initial: str = Field(
        "",
        description="Digest of the weights that the run starts from, or the phase whose result it "
        "starts from; empty from scratch.",
    )
    backbone: str = Field(
        OWN,
        min_length=1,
        description="Network: `residual`, the project's own, or a published one by its name.",
    )
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (48, 96, 192, 384), min_length=2, description="residual: channels of each stage."
    )
    blocks: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (1, 1, 2, 0), description="residual: blocks of each stage."
    )
    image_side: int = Field(
        160,
        ge=32,
        description="Side at which images are kept in memory; of a published network its own.",
    )
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
    projector: Literal["none", "linear", "mlp"] = Field(
        "mlp",
        description="What stands between the embedding that is searched and the terms that draw "
        "views together, and is thrown away afterwards: nothing, a linear map or two layers. "
        "Infomax always acts on the embedding itself.",
    )
    projection: int = Field(
        128,
        ge=8,
        description="Columns that the contrastive terms see; those of the embedding without "
        "projector.",
    )
    teacher_momentum: float = Field(
        0.99, ge=0, lt=1, description="moco, dino: of the teacher at first; a cosine leads to 1."
    )
    queue: int = Field(4096, ge=1, description="moco: keys of earlier batches, as negatives.")
    prototypes: int = Field(2048, ge=2, description="dino: classes of teacher and student.")
    local_crops: int = Field(
        0,
        ge=0,
        description="dino: small crops of each image that only the student sees (multi-crop); "
        "the teacher then sees both other views. 0: it sees the mild one, and nothing is small.",
    )
    local_size: int = Field(
        64, ge=32, description="dino: their side, rounded down to what the network can cut."
    )
    local_scale: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = (
        Field((0.05, 0.25), description="dino: their area, as fractions of the image.")
    )
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
        0.5,
        ge=0,
        description="Weight of the structure term and of the appearance term; 0 for a published "
        "network, whose embedding does not tell them apart.",
    )
    disentanglement: Literal["logdet", "koleo", "ica", "none"] = Field(
        "none",
        description="Infomax term on the pooled features: log-determinant of their covariance, "
        "distance to the nearest neighbour, independence of unmixed columns, or none, for none "
        "was worth anything beside contrast and a head of CCA.",
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
        description="What learns: the `full` network, or its `last-N` blocks: of a ViT its "
        "blocks, of a ResNet its stages, of the residual net an entry convolution or a residual "
        "block each. Those before keep weights and statistics.",
    )
    cached_views: int = Field(
        0,
        ge=0,
        description="last-N: view sets of which the frozen blocks' work is done once and kept on "
        "disk; epochs take them in turn, in new batches. 0 draws every view afresh.",
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
    def _crops_have_a_student(self) -> TrainingConfig:
        if self.local_crops and self.alignment != "dino":
            raise ValueError("local_crops are for alignment dino: leave them out, or choose it")
        if self.local_scale[0] > self.local_scale[1]:
            raise ValueError("local_scale goes from the smaller area to the larger")
        return self

    @model_validator(mode="after")
    def _cache_has_frozen_blocks(self) -> TrainingConfig:
        if not self.cached_views:
            return self
        if self.scope == "full":
            raise ValueError("cached_views keep what frozen blocks make: give scope last-N too")
        if self.provenance_weight:
            raise ValueError("cached_views know no pixels, which provenance_weight needs: drop one")
        if len({stage.size for stage in self.stages}) > 1:
            raise ValueError("cached_views are of one size: give stages of one size")
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
