"""Every setting of the service, read from `ATTRIBUTION_*` variables; no other module reads them.

It imports nothing heavy, so that commands which only need settings start at once.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "ATTRIBUTION_"
LogLevel = Literal["debug", "info", "warning", "error", "critical"]


class Settings(BaseSettings):
    """The service's settings; `docs/settings.md` is their reference.

    A variable with the prefix that names no setting is refused rather than ignored: a misspelt
    limit that silently keeps its default is worse than a service that does not start.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data: Path = Field(
        default=Path("var"), description="Folder of the catalog, the previews and the snapshots."
    )
    database_url: str | None = Field(
        default=None,
        description="SQLAlchemy URL of the catalog; unset: an SQLite file in the data folder.",
    )

    encoder: str = Field(default="bundled", description="Name of the encoder to load.")
    encoder_weights: Path | None = Field(
        default=None,
        description="File with the encoder's weights; unset: those bundled, cached or downloaded.",
    )
    device: str = Field(default="cpu", description="PyTorch device that runs the encoder.")
    inference_threads: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="CPU threads of one forward pass; 0 leaves PyTorch's default.",
    )
    decoding_threads: int = Field(
        default=2, ge=1, le=64, description="Images that are decoded at the same time."
    )

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. On a loopback address only this machine's own pages "
        "and programs are answered.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes one.")

    alpha: float = Field(
        default=0.01,
        gt=0,
        le=0.5,
        description="Rate of false attributions that a query without its own `alpha` accepts.",
    )
    generation_wait_seconds: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="How long a query waits for the index to reach its `min_generation`.",
    )

    signing_key: Path | None = Field(
        default=None,
        description="File with the Ed25519 private key that signs reports; unset: they are not "
        "signed.",
    )
    report_font: Path | None = Field(
        default=None,
        description="Font file for what the bundled font of PDF reports lacks, such as Chinese, "
        "Japanese and Korean.",
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

    follow_seconds: float = Field(
        default=0.5,
        gt=0,
        le=3600,
        description="How often the index looks for changes that other processes have written.",
    )
    snapshot_seconds: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="How often a changed index is saved, besides at every clean stop.",
    )
    log_level: LogLevel = Field(default="info", description="Least severe log level written.")

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _queue_holds_a_batch(self) -> Settings:
        if self.queue_limit < self.max_batch_images:
            raise ValueError(
                f"{PREFIX}QUEUE_LIMIT ({self.queue_limit}) must be at least "
                f"{PREFIX}MAX_BATCH_IMAGES ({self.max_batch_images}), "
                "or a full batch could never be accepted"
            )
        return self

    @model_validator(mode="after")
    def _no_unknown_variable(self) -> Settings:
        known = {PREFIX + name.upper() for name in type(self).model_fields}
        for name in sorted(os.environ):
            variable = name.upper()
            if variable.startswith(PREFIX) and variable not in known:
                near = difflib.get_close_matches(variable, known, n=1)
                hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists them all"
                raise ValueError(f"the environment sets {name}, which is no setting; {hint}")
        return self

    @property
    def snapshots(self) -> Path:
        """Folder of the index's snapshots."""
        return self.data / "index"

    @property
    def local_only(self) -> bool:
        """Whether the service listens on loopback, where callers need no key."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
