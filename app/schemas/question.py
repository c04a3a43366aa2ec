"""What is asked of an image, as query parameters."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.schemas.text import CollectionName
from app.settings import Guarantee


class AttributionParameters(BaseModel, extra="forbid"):
    """Query parameters of an attribution."""

    top_k: int = Field(default=10, ge=1, le=100, description="Sources to list.")
    collection: list[CollectionName] = Field(
        default=[],
        max_length=100,
        description="Search this collection only; repeat it for several. Unset: all of them.",
    )
    alpha: float | None = Field(
        default=None,
        gt=0,
        le=0.5,
        description="Rate of false attributions to accept; unset: the service's own.",
    )
    guarantee: Guarantee | None = Field(
        default=None,
        description="What the rate is promised of: `average` over draws of the background, or with "
        "95 % confidence the `background` that is there, which takes stronger evidence; unset: the "
        "service's own.",
    )
    no_source: float | None = Field(
        default=None,
        ge=0.001,
        le=0.999,
        description="Share of your images that you believe to come from no source held here; "
        "shares start from it, decisions do not depend on it. Unset: what shares were fitted with, "
        "mostly 0.5.",
    )
    recall: float | None = Field(
        default=None,
        ge=0.5,
        le=0.99,
        description="Instead of `top_k`, list as few sources as hold a true one at this rate, of "
        "images that have one held here and are like those that the rate was measured on, which "
        "the answer names; at most 100.",
    )
    any_way_up: bool = Field(
        default=False,
        description="The image may be turned by a quarter or upside down: it is looked at in all "
        "four ways, and the best answer is given, with p-values that allow for all of them (four "
        "times as large).",
    )
    min_generation: int = Field(
        default=0,
        ge=0,
        le=2**63 - 1,
        description="Answer only once the index has seen this write, whose number it returned.",
    )


class ExplainableParameters(AttributionParameters):
    """Query parameters of an attribution that is answered at once."""

    explain: bool = Field(
        default=False,
        description="Also show where: heat maps of the attributed sources, at most 10 (of the "
        "first 3 listed when none is attributed), and a map of the image's regions.",
    )
