"""Answers about several images at once, as JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.attribution import EXAMPLE, AttributionDocument
from app.schemas.problem import ProblemDocument

EXAMPLE_PROBLEM: dict[str, Any] = {
    "type": "/problems/corrupt-image",
    "title": "Corrupt image",
    "status": 422,
    "detail": "Send the file again, whole and undamaged.",
    "request_id": "req_5f0c2e9d7b1a4c3e8f60",
}


class AttributedItem(BaseModel):
    """An image of a batch that could be answered."""

    index: int
    filename: str | None
    attribution: AttributionDocument
    q_value: float | None = Field(
        description="Smallest rate of false discoveries, over the images of this batch that have "
        "a p-value, at which this one counts as attributed (Benjamini and Hochberg, 1995). "
        "`decision` does not use it. null where there is no p-value."
    )


class ProblemItem(BaseModel):
    """An image of a batch that could not be answered."""

    index: int
    filename: str | None
    problem: ProblemDocument


class AttributionBatch(BaseModel):
    """One item for each image sent, in the order sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "index": 0,
                            "filename": "a.jpg",
                            "attribution": EXAMPLE,
                            "q_value": 0.0017,
                        },
                        {"index": 1, "filename": "b.jpg", "problem": EXAMPLE_PROBLEM},
                    ]
                }
            ]
        }
    )

    items: list[AttributedItem | ProblemItem]
