"""Whether a source may be trained on, as answers and sources show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from attribution.opt_out import opt_out_of


class OptOutDocument(BaseModel):
    """What the owner of a source has said about training on it."""

    do_not_train: bool = Field(description="Whether training is forbidden.")
    data_mining: str | None = Field(
        description="The PLUS term that says so, such as `DMI-PROHIBITED-GENAIMLTRAINING`."
    )

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> OptOutDocument | None:
        """What the metadata of a source say; None where they say nothing about it."""
        said = opt_out_of(metadata)
        return None if said is None else cls(**asdict(said))
