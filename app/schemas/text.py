"""The kinds of text that requests carry; the catalog itself checks what it can store."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

Uri = Annotated[str, Field(max_length=2048)]
Text = Annotated[str, Field(max_length=512)]
CollectionName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
SourceId = Annotated[str, Field(min_length=1, max_length=64)]
