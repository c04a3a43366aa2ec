"""The kinds of text and moments that requests carry; the catalog checks what it can store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("contains a NUL character; send it without")
    return text


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies before the year 1 or after 9999 in UTC; name another") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Uri = Annotated[str, Field(max_length=2048)]
Text = Annotated[str, Field(max_length=512)]
SoughtUri = Annotated[Uri, AfterValidator(_without_nul)]
SoughtText = Annotated[Text, AfterValidator(_without_nul)]
CollectionName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
SourceId = Annotated[str, Field(min_length=1, max_length=64)]
