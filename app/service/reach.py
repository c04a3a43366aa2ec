"""What a caller may see and change of sources, collections and jobs: routes ask nothing else.

Beyond a caller's reach nothing exists: what lies there gets the answer, in the same words, that
one gets which never was. No statement about sources and collections asks for anything out of
reach, so whether it exists can show in no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends

from app.access.caller import Caller, CallerDependency
from app.service.service import Service, ServiceDependency
from attribution.catalog import (
    Collection,
    CollectionNotFound,
    CollectionPut,
    Deleted,
    Job,
    JobNotFound,
    JobPage,
    Order,
    Page,
    Source,
    SourceFilter,
    TakenDown,
)


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """The catalog, as far as a caller reaches."""

    service: Service
    caller: Caller

    def shown(self, generation: int) -> int:
        """A generation of the catalog as this caller knows it."""
        return self.service.numbering.shown(generation, self.caller.collections)

    # Collections

    def collections(self) -> tuple[Collection, ...]:
        """All within reach, by name."""
        if self.caller.collections is None:
            return self.service.catalog.collections()
        found = []
        for name in sorted(self.caller.collections):
            with suppress(CollectionNotFound):  # a key may be limited to what is yet to be made
                found.append(self.service.catalog.collection(name))
        return tuple(found)

    def collection(self, name: str) -> Collection:
        """One collection; raises CollectionNotFound."""
        self.caller.require(name)
        return self.service.catalog.collection(name)

    def put_collection(self, name: str, description: str) -> CollectionPut:
        """Make or describe one; raises CollectionNotFound where the name is out of reach."""
        self.caller.require(name)
        return self.service.catalog.put_collection(name, description)

    def delete_collection(self, name: str) -> Deleted:
        """Delete one with its sources; raises CollectionNotFound, CollectionProtected."""
        self.caller.require(name)
        return self._applied(self.service.catalog.delete_collection(name))

    # Sources

    def source(self, source_id: str) -> Source:
        """One source; raises SourceNotFound."""
        return self.service.catalog.source(source_id, collections=self.caller.collections)

    def sources(
        self,
        where: SourceFilter,
        *,
        limit: int,
        cursor: str | None = None,
        order: Order = "oldest",
    ) -> Page:
        """List sources in order of addition or against it; what is out of reach is not there."""
        within = self.caller.listed(where.collections or ())
        return self.service.catalog.sources(
            replace(where, collections=within), limit=limit, cursor=cursor, order=order
        )

    def update(
        self, source_id: str, changes: Mapping[str, Any], *, if_revision: int | None = None
    ) -> Source:
        """Change what is said about a source; raises SourceNotFound, RevisionMismatch."""
        self.source(source_id)
        return self.service.catalog.update(source_id, changes, if_revision=if_revision)

    def delete(
        self,
        *,
        source_ids: Sequence[str] = (),
        sha256s: Sequence[str] = (),
        if_revision: int | None = None,
    ) -> Deleted:
        """Delete by id and by digest; what is out of reach comes back as missing.

        Raises:
            RevisionMismatch: `if_revision` is given, and one is at another; nothing was deleted.
        """
        return self._applied(
            self.service.catalog.delete(
                source_ids=source_ids,
                sha256s=sha256s,
                collections=self.caller.collections,
                if_revision=if_revision,
            )
        )

    def take_down(
        self, *, source_ids: Sequence[str] = (), sha256s: Sequence[str] = (), reason: str
    ) -> TakenDown:
        """Delete sources and all that share their bytes, and refuse these bytes from now on.

        Raises:
            Problem: 403 `forbidden`, to a caller limited to collections.
        """
        self.caller.require_whole()
        taken = self.service.catalog.takedowns.take(
            source_ids=source_ids,
            sha256s=sha256s,
            reason=reason,
            told=self.service.announcer.told,
        )
        self.service.announcer.wake()
        self.service.apply_writes()
        self.service.compactor.wake()
        return taken

    def preview(self, source_id: str) -> bytes:
        """JPEG of a source; raises SourceNotFound, PreviewMissing."""
        self.source(source_id)
        return self.service.catalog.preview(source_id)

    # Jobs

    @property
    def owner(self) -> str:
        """Under whose name the caller makes jobs; empty where the service has no keys."""
        return self.caller.key_id or ""

    @property
    def _administers(self) -> bool:
        return "admin" in self.caller.scopes and self.caller.collections is None

    def job(self, job_id: str) -> Job:
        """One job, to its maker and to whoever administers the whole catalog; else JobNotFound."""
        job = self.service.catalog.jobs.find(job_id)
        if job.owner != self.owner and not self._administers:
            raise JobNotFound(job_id)
        return job

    def jobs(self, *, limit: int, cursor: str | None = None) -> JobPage:
        """The caller's own jobs, the newest first; those of all for whoever administers all."""
        owner = None if self._administers else self.owner
        return self.service.catalog.jobs.page(owner, limit=limit, cursor=cursor)

    def cancel_job(self, job: Job) -> Job:
        """End a job early; its images are erased, at once or once that can be."""
        cancelled = self.service.catalog.jobs.cancel(job.job_id)
        self.service.compactor.wake()
        return cancelled

    def delete_job(self, job: Job) -> tuple[str, ...]:
        """Purge a job; what of it could not be removed from the disk, and will be."""
        remaining = self.service.catalog.jobs.delete(job.job_id)
        if remaining:
            self.service.compactor.wake()
        return remaining

    def _applied(self, deleted: Deleted) -> Deleted:
        """In no answer from now on, and numbered as this caller counts."""
        self.service.apply_writes()
        return replace(deleted, generation=self.shown(deleted.generation))


def holdings_of(service: ServiceDependency, caller: CallerDependency) -> Holdings:
    """What the sender of this request reaches."""
    return Holdings(service, caller)


HoldingsDependency = Annotated[Holdings, Depends(holdings_of)]
