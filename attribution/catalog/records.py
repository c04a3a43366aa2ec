"""What the catalog takes and gives: frozen records, and nothing that knows of SQL or files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Operation = Literal["add", "remove", "update"]
Order = Literal["oldest", "newest"]
Scope = Literal["query", "curate", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewSource:
    """A source about to be added, already decoded and embedded.

    Attributes:
        sha256: hex digest of the original file's bytes, lower case.
        width: width of the original in pixels, orientation applied; `height` likewise.
        format: format of the original, such as `"jpeg"`.
        metadata: free JSON object, at most 16 KiB when written out.
        embedding: `(d,)` float32, the row of the encoder whose `model_id` goes to `add`.
        preview: JPEG bytes, at most 512 pixels on the long side.
        others: rows of further encoders by their `model_id`.
    """

    collection: str
    sha256: str
    width: int
    height: int
    format: str
    uri: str | None = None
    title: str | None = None
    creator: str | None = None
    licence: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    embedding: npt.NDArray[np.float32]
    preview: bytes
    others: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An image the operator holds. `revision` starts at 1 and grows with every update."""

    source_id: str
    vector_id: int
    collection: str
    sha256: str
    uri: str | None
    title: str | None
    creator: str | None
    licence: str | None
    metadata: Mapping[str, Any] = field(hash=False)
    width: int
    height: int
    format: str
    created_at: datetime
    updated_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Added:
    """One item of a batch. `created` is False where the collection already held these bytes."""

    source: Source
    created: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What a write returns: an index at this `generation` or later has seen it."""

    generation: int


@dataclass(frozen=True, slots=True)
class AddedBatch(Written):
    """Outcome of `add`: one item for each source given, in the order given."""

    items: tuple[Added, ...]


@dataclass(frozen=True, slots=True)
class Deleted(Written):
    """Outcome of a deletion: ids that are gone, and the ids or digests that named nothing.

    `remaining` are the files of what was deleted that could not be removed yet, relative to the
    data folder; it is tried again until they are gone.
    """

    source_ids: tuple[str, ...]
    missing: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TakenDown(Deleted):
    """Outcome of a takedown: also the digests that are refused from now on."""

    sha256s: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of sources; `sources` is how many it holds."""

    name: str
    description: str
    sources: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CollectionPut:
    """A collection as it is now; ``created`` is False where only its description was replaced."""

    collection: Collection
    created: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the log that indexes follow.

    An `"add"` may come again for a `vector_id` already added: the source has then received the
    embedding of a further encoder. `"update"` touches metadata only; no index needs to act on it.
    """

    generation: int
    operation: Operation
    vector_id: int
    collection: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some sources in the order asked for; `next_cursor` is None on the last page."""

    items: tuple[Source, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFilter:
    """Which sources to list: everything that is given must hold, and texts match exactly.

    Attributes:
        collections: None means all of them; the empty set means none.
        text: a part of the title, the creator, the uri or the licence, the case of a to z aside; or
            the whole id or digest.
        created_from: the earliest moment of addition; `created_before`: one that is too late.
        copies: only those whose bytes another source has too, among those of `collections`.
    """

    collections: frozenset[str] | None = None
    sha256: str | None = None
    uri: str | None = None
    creator: str | None = None
    licence: str | None = None
    text: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    copies: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingPage:
    """Embeddings of live sources by ascending vector id.

    Attributes:
        vector_ids: `(n,)` int64.
        vectors: `(n, d)` float32.
        collections: n names.
    """

    vector_ids: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]
    collections: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.collections)


@dataclass(frozen=True, slots=True)
class RegisteredEncoder:
    """An encoder under which new sources are embedded, and where any process finds it.

    Attributes:
        model_id: what it has to be once loaded.
        name: `bundled`, the absolute path of a folder, or a backbone's name.
        weights: absolute path of a weights file; None where the name says it all.
    """

    model_id: str
    name: str
    weights: str | None


@dataclass(frozen=True, slots=True)
class Registry:
    """The encoders registered, by `model_id`, and which of them serves.

    Attributes:
        encoders: under which new sources are embedded.
        active: None until an encoder is first activated: then settings say which one serves.
        previous: the one active before, to go back to.
    """

    encoders: tuple[RegisteredEncoder, ...] = ()
    active: str | None = None
    previous: str | None = None

    def find(self, model_id: str) -> RegisteredEncoder | None:
        """The encoder of this `model_id`, if registered."""
        return next((found for found in self.encoders if found.model_id == model_id), None)

    @property
    def active_encoder(self) -> RegisteredEncoder | None:
        """The encoder that is active, if there is one."""
        return None if self.active is None else self.find(self.active)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key as the catalog knows it, which is without its secret.

    `collections=None` means all of them. `admin` stands for every scope.
    """

    key_id: str
    name: str
    scopes: frozenset[Scope]
    collections: frozenset[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @property
    def state(self) -> Literal["active", "expired", "revoked"]:
        """Whether the key is taken now, and why not."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and self.expires_at <= datetime.now(UTC)
        return "expired" if expired else "active"


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key just made. `token` is what its owner sends; nobody can read it again."""

    key: Key
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FittedCalibration:
    """What was fitted for one encoder: parameters, and the figures that were measured with them.

    `calibration_id` counts up, so a larger one is newer. `kind` says what the parameters are
    those of.
    """

    calibration_id: int
    model_id: str
    kind: str
    parameters: Mapping[str, float] = field(hash=False)
    figures: Mapping[str, Any] = field(hash=False)
    created_at: datetime
