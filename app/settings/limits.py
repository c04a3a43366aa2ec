"""Settings that bound bytes, pixels, time and counts; `Settings` has them all."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "ATTRIBUTION_"


class Limits(BaseSettings):
    """How much the service takes on; `docs/settings.md` is the reference."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    max_image_bytes: int = Field(
        default=20_000_000, ge=1024, description="Largest image file accepted, in bytes."
    )
    max_image_pixels: int = Field(
        default=50_000_000, ge=1024, description="Most pixels an image may have."
    )
    max_request_bytes: int = Field(
        default=256_000_000, ge=1024, description="Largest request body accepted, in bytes."
    )
    max_batch_images: int = Field(
        default=64, ge=1, le=1024, description="Most images in one batch request."
    )
    max_inference_batch: int = Field(
        default=32, ge=1, le=1024, description="Most images in one forward pass."
    )
    queue_limit: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="Images accepted and not yet answered; beyond it requests get 503. "
        "At least `max_batch_images`.",
    )

    max_received_bytes: int = Field(
        default=1_000_000_000,
        ge=1024,
        description="Bytes of request bodies held at the same time, but for those of jobs; "
        "beyond it requests get 503. At least `max_request_bytes`.",
    )
    max_connections: int = Field(
        default=512,
        ge=8,
        le=100_000,
        description="Connections open at the same time; further ones get 503 and are closed.",
    )
    head_seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="How long the line and the headers of a request may take to arrive.",
    )
    body_silence_seconds: float = Field(
        default=20.0,
        gt=0,
        le=3600,
        description="Longest silence in the middle of a body; after it the request gets 408. An "
        "answer that waits to be read is given up after it, too.",
    )
    body_rate: int = Field(
        default=10_000,
        ge=0,
        description="Fewest bytes a second at which a body must arrive on average, after "
        "`body_silence_seconds`, or a waiting answer be read; 0 for no such limit.",
    )
    answer_seconds: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="How long an image may wait for its answer once its request has arrived; then "
        "503, and what has not begun is dropped.",
    )
    hang_seconds: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="A forward pass or a decoding that takes longer makes `/readyz` answer 503.",
    )
    hang_exit_seconds: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        description="One that takes longer still ends the process with status 70, for its "
        "supervisor to start it again; 0 for never.",
    )
    shutdown_seconds: int = Field(
        default=30,
        ge=1,
        le=3600,
        description="How long requests may take to finish after the service was told to stop.",
    )

    max_job_images: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Most images in one job."
    )
    max_job_bytes: int = Field(
        default=2_000_000_000,
        ge=1024,
        description="Largest request body that makes a job, and largest size of an unpacked "
        "archive, in bytes.",
    )
    max_active_jobs: int = Field(
        default=16,
        ge=1,
        le=10_000,
        description="Jobs accepted and not yet ended; beyond it new ones get 503.",
    )
    max_job_batch: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="Most images of jobs in one forward pass; an interactive request waits for at "
        "most one such pass.",
    )
    job_retention_hours: float = Field(
        default=168.0,
        gt=0,
        le=87_600,
        description="How long a job and its results are kept after it has ended.",
    )

    @model_validator(mode="after")
    def _the_largest_request_fits(self) -> Self:
        for limit, least, largest in (
            ("queue_limit", "max_batch_images", "a full batch"),
            ("max_received_bytes", "max_request_bytes", "a full request"),
        ):
            if getattr(self, limit) < getattr(self, least):
                raise ValueError(
                    f"{PREFIX}{limit.upper()} ({getattr(self, limit)}) must be at least "
                    f"{PREFIX}{least.upper()} ({getattr(self, least)}), "
                    f"or {largest} could never be accepted"
                )
        return self
