"""What can go wrong in the catalog, each with what to do about it; knows no HTTP status."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_LATELY_SECONDS = 15.0


class CatalogError(Exception):
    """Base of all errors that the catalog raises on purpose."""


class CatalogUnusable(CatalogError):
    """The catalog cannot be opened: not a catalog, damaged, or out of reach."""


class CatalogMissing(CatalogUnusable):
    """There is no catalog to work on. Nothing was made."""

    def __init__(self, folder: Path, file: Path | None = None, database: str | None = None) -> None:
        where = database or folder.absolute()
        lacks = f"; {file} is not there" if file is not None and folder.is_dir() else ""
        checked = "ATTRIBUTION_DATABASE_URL" if database else "--data and ATTRIBUTION_DATA"
        super().__init__(
            f"there is no catalog in {where}{lacks}: check {checked}; "
            "`attribution ingest` and `attribution serve` make one"
        )


class CatalogReadOnly(CatalogUnusable):
    """This process may read the catalog and not write it. Nothing was written."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} may be read here, but not written: run this as its owner, where its disk can "
            "be written, or have the owner grant permission to write the file and its folder"
        )


class CatalogUnfinished(CatalogReadOnly):
    """What a killed process has left is to be brought in first, and this process may not."""

    def __init__(self, log: Path) -> None:
        CatalogUnusable.__init__(
            self,
            f"{log} holds writes of a process that was killed, and they may not be brought in "
            "here: run `attribution verify` as the owner of the folder once",
        )


class CatalogTooNew(CatalogUnusable):
    """A newer version of this software has written the catalog."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"this catalog has schema revision {revision!r}, which this version does not know; "
            "upgrade the software, or open a backup made before the upgrade"
        )


class CatalogClosed(CatalogError):
    """The catalog was used after `close()`."""

    def __init__(self) -> None:
        super().__init__("this catalog has been closed; open it again with Catalog.open")


class CatalogBusy(CatalogError):
    """Another writer held the catalog for longer than the time allowed. Nothing was written."""

    def __init__(self) -> None:
        super().__init__("the catalog stayed locked by another writer; try again shortly")


class StorageFull(CatalogError):
    """The disk of the catalog has no room left. Nothing was written."""

    def __init__(self) -> None:
        super().__init__("the catalog's disk is full; free some space, then try again")


class StorageUnwritable(CatalogError):
    """A file or a folder of the data folder cannot be written. What was asked for is not done."""

    def __init__(self, error: OSError) -> None:
        self.reason = error.strerror or str(error)
        place = f" ({error.filename})" if error.filename else ""
        super().__init__(
            f"the catalog's disk cannot be written{place}: {self.reason}; let the user that runs "
            "this write there, and see whether the disk is sound"
        )


class CollectionNotFound(CatalogError, LookupError):
    """No collection has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no collection {name!r}; create it first")


class CollectionProtected(CatalogError):
    """The collection must always exist."""

    def __init__(self, name: str) -> None:
        super().__init__(f"collection {name!r} cannot be deleted; delete its sources instead")


class SourceNotFound(CatalogError, LookupError):
    """No live source has this id."""

    def __init__(self, source_id: str) -> None:
        super().__init__(f"there is no source {source_id!r}")


class SourceTakenDown(CatalogError):
    """These bytes were taken down and must not come back. Nothing was written."""

    def __init__(self, sha256s: Sequence[str]) -> None:
        which = "these bytes were" if len(sha256s) == 1 else "some of these images were"
        super().__init__(f"{which} taken down and cannot be added again")


class KeyNotFound(CatalogError, LookupError):
    """No API key has this id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no key {key_id!r}; `attribution keys list` shows them all")


class JobNotFound(CatalogError, LookupError):
    """No job has this id; it may have been purged."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id!r}")


class IdempotencyKeyReused(CatalogError):
    """The key has been used for another request. Nothing was written."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the idempotency key {key!r} was used before, for another request")


class TooManyJobs(CatalogError):
    """As many jobs are unfinished as may be. Nothing was written."""

    def __init__(self, active: int) -> None:
        super().__init__(f"{active} jobs are unfinished, as many as are allowed")


class PreviewMissing(CatalogError):
    """A live source has lost its preview file, or what it holds is damaged."""

    def __init__(self, source_id: str, path: Path) -> None:
        super().__init__(
            f"the preview of source {source_id!r} is missing or damaged ({path}); restore it from "
            "a backup, or delete the source and add it again"
        )


class EmbeddingsMissing(CatalogError, KeyError):
    """Some vector ids have no embedding under this encoder: deleted, or never embedded by it."""

    def __init__(self, model_id: str, vector_ids: Sequence[int]) -> None:
        self.model_id = model_id
        self.vector_ids = tuple(vector_ids)
        super().__init__(model_id, self.vector_ids)

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.vector_ids[:5]))
        more = ", ..." if len(self.vector_ids) > 5 else ""
        return f"no embedding of encoder {self.model_id!r} for vector ids {shown}{more}"


class EncoderNotRegistered(CatalogError, LookupError):
    """The catalog does not know where this encoder is found."""

    def __init__(self, model_id: str) -> None:
        super().__init__(
            f"encoder {model_id!r} is not registered; `attribution reembed ENCODER` does it, and "
            "`attribution reembed` lists those that are"
        )


class EncoderActive(CatalogError):
    """The encoder serves and cannot be dropped. Nothing was removed."""

    def __init__(self, model_id: str) -> None:
        super().__init__(f"encoder {model_id!r} is active; activate another before dropping it")


class CoverageIncomplete(CatalogError):
    """Some sources lack a row of the encoder, and no query would find them. Nothing was written."""

    def __init__(self, model_id: str, embedded: int, sources: int) -> None:
        super().__init__(
            f"encoder {model_id!r} cannot be activated: it has embeddings of {embedded} of "
            f"{sources} sources, and the other {sources - embedded} could not be found; "
            "`attribution reembed ENCODER` makes what can be made, and `attribution verify` says "
            "which previews are missing"
        )


class ActiveEncoderLeftOut(CatalogError):
    """New sources came without a row of the encoder that serves. Nothing was written."""

    def __init__(self, model_id: str) -> None:
        super().__init__(
            f"the catalog's active encoder is {model_id!r}, and what adds sources here has not "
            "loaded it yet or cannot; nothing was added"
        )


class InvalidCursor(CatalogError, ValueError):
    """The cursor was not made by this catalog's listing."""

    def __init__(self) -> None:
        super().__init__("the cursor is not valid; pass next_cursor of the last page unchanged")


class InvalidField(CatalogError, ValueError):
    """A value cannot be stored; `field` names it and `reason` says why."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}")


class RevisionMismatch(CatalogError):
    """Someone else has updated the source since it was read."""

    def __init__(self, source_id: str, *, expected: int, actual: int) -> None:
        super().__init__(
            f"source {source_id!r} is at revision {actual}, not {expected}; read it again, "
            "then repeat the change"
        )


class Place:
    """A place that is written to, which remembers what the last write there came to."""

    def __init__(self) -> None:
        self._failure: tuple[float, str] | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn whatever keeps the block from writing into an error that says what to do.

        Raises:
            StorageFull, StorageUnwritable: no room, or anything else.
        """
        try:
            yield
        except OSError as error:
            self.failed(error)
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise StorageFull from error
            raise StorageUnwritable(error) from error
        self._failure = None

    def failed(self, error: Exception) -> None:
        """A write has failed."""
        reason = error.strerror if isinstance(error, OSError) else None
        self._failure = (time.monotonic(), reason or str(error))

    def succeeded(self) -> None:
        """A write has not."""
        self._failure = None

    @property
    def trouble(self) -> str | None:
        """Why the last write failed, where that was lately; None where all is well, or unknown."""
        if self._failure is None or time.monotonic() - self._failure[0] > _LATELY_SECONDS:
            return None
        return self._failure[1]
