"""The card of an encoder: what it is made of and what is known of it, as JSON beside weights."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.images.preprocessing import Preprocessing


class BackboneCard(BaseModel):
    """Which network, and how it is shaped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="`residual` for the project's own, else a registry name.")
    widths: tuple[int, ...] = ()
    blocks: tuple[int, ...] = ()
    second: str = Field(
        default="", description="Registry name of a network whose columns stand beside its own."
    )


class PartCard(BaseModel):
    """One part of the embedding and how its map was fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    head: Literal["none", "whiten", "cca", "linear"]
    dimension: int
    fitted_on: str = ""
    network: str = Field(default="", description="That makes it, where there are several.")


class SharesCard(BaseModel):
    """How credit divides among candidates until a deployment has fitted its own; see `kind`.

    What the numbers mean is known where answers are made. They change no row, hence no `model_id`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    parameters: dict[str, float]
    figures: dict[str, float] = Field(default_factory=dict)
    fitted_on: str = ""
    recall: dict[str, float] = Field(default_factory=dict)


class Card(BaseModel):
    """Everything a loader needs and everything a user should know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str
    backbone: BackboneCard
    preprocessing: Preprocessing
    parts: tuple[PartCard, ...]
    fusion: Literal["single", "max-standardised", "harmonic-mean-p"] = "single"
    mirrored_query: bool = Field(
        default=False,
        description="Score the larger of a query and its mirror image: a second forward pass a "
        "query.",
    )
    hubness: float = Field(
        default=0.0,
        ge=0,
        description="Share of a source's nearest reference cosines that its scores are reduced by.",
    )
    numeric: Literal["float32"] = "float32"
    shares: SharesCard | None = None
    licence: str = ""
    description: str = ""
    data: str = ""
    recipe: dict[str, Any] = Field(default_factory=dict)
    command: str = ""
    metrics: dict[str, Any] = Field(default_factory=dict)
    limits: str = ""
