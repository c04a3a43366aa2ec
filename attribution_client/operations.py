"""One method for each operation of the HTTP API. Written by `make client`: edit nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from attribution_client import documents
from attribution_client.calls import AsyncCalling, Call, Calling, Image


class Operations(Calling):
    """Each returns once it is answered."""

    def attribute_image(
        self,
        file: Image,
        *,
        top_k: int | None = None,
        collection: Sequence[str] | None = None,
        alpha: float | None = None,
        guarantee: Literal["average", "background"] | None = None,
        no_source: float | None = None,
        recall: float | None = None,
        any_way_up: bool | None = None,
        min_generation: int | None = None,
        explain: bool | None = None,
    ) -> documents.AttributionDocument:
        """Attribute one image.

        Rank the sources that an image may have come from, and decide whether it came from any.

        Send the image as multipart field `file`, or as the body itself. `top_k` sources are always
        listed, whatever the decision: look at `decision` and at each source's `attributed`. Accept
        `application/pdf`, `text/html` or `application/vnd.attribution.report+json` for a report.

        - `top_k`: Sources to list.
        - `collection`: Search this collection only; repeat it for several. Unset: all of them.
        - `alpha`: Rate of false attributions to accept; unset: the service's own.
        - `guarantee`: What the rate is promised of: `average` over draws of the background, or with
          95 % confidence the `background` that is there, which takes stronger evidence; unset: the
          service's own.
        - `no_source`: Share of your images that you believe to come from no source held here;
          shares start from it, decisions do not depend on it. Unset: what shares were fitted with,
          mostly 0.5.
        - `recall`: Instead of `top_k`, list as few sources as hold a true one at this rate, of
          images that have one held here and are like those that the rate was measured on, which the
          answer names; at most 100.
        - `any_way_up`: The image may be turned by a quarter or upside down: it is looked at in all
          four ways, and the best answer is given, with p-values that allow for all of them (four
          times as large).
        - `min_generation`: Answer only once the index has seen this write, whose number it
          returned.
        - `explain`: Also show where: heat maps of the attributed sources, at most 10 (of the first
          3 listed when none is attributed), and a map of the image's regions.
        """
        return self._document(
            Call(
                "POST",
                "/v1/attributions",
                query={
                    "top_k": top_k,
                    "collection": collection,
                    "alpha": alpha,
                    "guarantee": guarantee,
                    "no_source": no_source,
                    "recall": recall,
                    "any_way_up": any_way_up,
                    "min_generation": min_generation,
                    "explain": explain,
                },
                files=[("file", file)],
            ),
            documents.AttributionDocument,
        )

    def attribute_images(
        self,
        files: Sequence[Image],
        *,
        top_k: int | None = None,
        collection: Sequence[str] | None = None,
        alpha: float | None = None,
        guarantee: Literal["average", "background"] | None = None,
        no_source: float | None = None,
        recall: float | None = None,
        any_way_up: bool | None = None,
        min_generation: int | None = None,
        explain: bool | None = None,
    ) -> documents.AttributionBatch:
        """Attribute several images.

        Attribute each image of the repeated multipart field `files`, and answer in their order.

        An image that cannot be answered gets its own problem; the others are not affected.

        - `top_k`: Sources to list.
        - `collection`: Search this collection only; repeat it for several. Unset: all of them.
        - `alpha`: Rate of false attributions to accept; unset: the service's own.
        - `guarantee`: What the rate is promised of: `average` over draws of the background, or with
          95 % confidence the `background` that is there, which takes stronger evidence; unset: the
          service's own.
        - `no_source`: Share of your images that you believe to come from no source held here;
          shares start from it, decisions do not depend on it. Unset: what shares were fitted with,
          mostly 0.5.
        - `recall`: Instead of `top_k`, list as few sources as hold a true one at this rate, of
          images that have one held here and are like those that the rate was measured on, which the
          answer names; at most 100.
        - `any_way_up`: The image may be turned by a quarter or upside down: it is looked at in all
          four ways, and the best answer is given, with p-values that allow for all of them (four
          times as large).
        - `min_generation`: Answer only once the index has seen this write, whose number it
          returned.
        - `explain`: Also show where: heat maps of the attributed sources, at most 10 (of the first
          3 listed when none is attributed), and a map of the image's regions.
        """
        return self._document(
            Call(
                "POST",
                "/v1/attributions/batch",
                query={
                    "top_k": top_k,
                    "collection": collection,
                    "alpha": alpha,
                    "guarantee": guarantee,
                    "no_source": no_source,
                    "recall": recall,
                    "any_way_up": any_way_up,
                    "min_generation": min_generation,
                    "explain": explain,
                },
                files=[("files", each) for each in files],
            ),
            documents.AttributionBatch,
        )

    def get_report_key(self) -> documents.ReportKey:
        """The public key of signed reports.

        Show the Ed25519 key that reports are signed with now; keep it to check old reports.
        """
        return self._document(Call("GET", "/v1/report-key"), documents.ReportKey)

    def create_job(
        self,
        files: Sequence[Image],
        *,
        top_k: int | None = None,
        collection: Sequence[str] | None = None,
        alpha: float | None = None,
        guarantee: Literal["average", "background"] | None = None,
        no_source: float | None = None,
        recall: float | None = None,
        any_way_up: bool | None = None,
        min_generation: int | None = None,
        idempotency_key: str | None = None,
    ) -> documents.JobDocument:
        """Attribute many images.

        Accept images to be attributed one after the other; `Location` tells how far it is.

        Send them as the repeated multipart field `files`, or as one zip archive, as such a file or
        as
        the body. Once this answers, the job survives the end of the process.

        - `top_k`: Sources to list.
        - `collection`: Search this collection only; repeat it for several. Unset: all of them.
        - `alpha`: Rate of false attributions to accept; unset: the service's own.
        - `guarantee`: What the rate is promised of: `average` over draws of the background, or with
          95 % confidence the `background` that is there, which takes stronger evidence; unset: the
          service's own.
        - `no_source`: Share of your images that you believe to come from no source held here;
          shares start from it, decisions do not depend on it. Unset: what shares were fitted with,
          mostly 0.5.
        - `recall`: Instead of `top_k`, list as few sources as hold a true one at this rate, of
          images that have one held here and are like those that the rate was measured on, which the
          answer names; at most 100.
        - `any_way_up`: The image may be turned by a quarter or upside down: it is looked at in all
          four ways, and the best answer is given, with p-values that allow for all of them (four
          times as large).
        - `min_generation`: Answer only once the index has seen this write, whose number it
          returned.
        - `idempotency_key`: The same request under the same key makes one job, however often it is
          sent.
        """
        return self._document(
            Call(
                "POST",
                "/v1/jobs",
                query={
                    "top_k": top_k,
                    "collection": collection,
                    "alpha": alpha,
                    "guarantee": guarantee,
                    "no_source": no_source,
                    "recall": recall,
                    "any_way_up": any_way_up,
                    "min_generation": min_generation,
                },
                headers={"idempotency-key": idempotency_key},
                files=[("files", each) for each in files],
            ),
            documents.JobDocument,
        )

    def list_jobs(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> documents.JobPage:
        """List jobs.

        List the jobs that the caller may see, the newest first.

        - `limit`: Jobs a page.
        - `cursor`: `next_cursor` of the page before.
        """
        return self._document(
            Call("GET", "/v1/jobs", query={"limit": limit, "cursor": cursor}), documents.JobPage
        )

    def get_job(self, job_id: str) -> documents.JobDocument:
        """How far is a job?.

        Show a job: its state, and how many of its images have a result.

        - `job_id`: Id of a job.
        """
        return self._document(
            Call("GET", f"/v1/jobs/{self._quoted(job_id)}"), documents.JobDocument
        )

    def delete_job(self, job_id: str) -> documents.JobDocument | None:
        """Purge a job.

        Purge a job in whatever state, with its results and its images.

        202 where an image cannot be removed yet: the job is there until it is, ended and without
        any
        result, and says what is `remaining`.

        - `job_id`: Id of a job.
        """
        return self._document_or_none(
            Call("DELETE", f"/v1/jobs/{self._quoted(job_id)}"), documents.JobDocument
        )

    def get_job_results(self, job_id: str, *, after: int | None = None) -> Iterator[dict[str, Any]]:
        """Results of a job.

        Read the results there are by now, in the order in which images ended.

        Ask again with the last `sequence` as `after` for those that come later.

        - `job_id`: Id of a job.
        - `after`: `sequence` of the last result already read.
        """
        return self._lines(
            Call("GET", f"/v1/jobs/{self._quoted(job_id)}/results", query={"after": after})
        )

    def cancel_job(self, job_id: str) -> documents.JobDocument:
        """Cancel a job.

        End a job early: its results stay, its other images are erased. One that ended stays so.

        202 where an image cannot be erased yet: see `remaining`.

        - `job_id`: Id of a job.
        """
        return self._document(
            Call("POST", f"/v1/jobs/{self._quoted(job_id)}/cancel"), documents.JobDocument
        )

    def add_sources(
        self,
        files: Sequence[Image],
        *,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        collection: str | None = None,
    ) -> documents.AddedBatch:
        """Add several sources.

        Add each image of the repeated multipart field `files`, and answer in their order.

        An image that cannot be added gets its own problem; the others are not affected.

        - `collection`: It must exist.
        """
        return self._document(
            Call(
                "POST",
                "/v1/sources/batch",
                query={"collection": collection},
                files=[("files", each) for each in files],
                form={"metadata": metadata},
            ),
            documents.AddedBatch,
        )

    def delete_sources(self, body: documents.DeleteSources) -> documents.DeletedSources:
        """Delete sources by id or by sha256.

        Delete up to 1,000 sources by id, or by the digest of their bytes in every collection.

        They are in no answer from now on. What names nothing comes back in `missing`. A takedown
        also
        deletes what has the same bytes elsewhere, and refuses these bytes from now on.
        """
        return self._document(
            Call("POST", "/v1/sources/delete", body=body), documents.DeletedSources
        )

    def export_sources(
        self,
        *,
        collection: Sequence[str] | None = None,
        sha256: str | None = None,
        uri: str | None = None,
        creator: str | None = None,
        licence: str | None = None,
        text: str | None = None,
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        copies: bool | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Export sources as a manifest.

        Write every source as a line of a manifest, which `attribution ingest` reads.

        - `collection`: Repeat it for several; unset: all.
        - `uri`: Must match exactly, as the two below.
        - `text`: A part of the title, the creator, the uri or the licence, the case of a to z
          aside; or a whole id or sha256.
        - `created_from`: Added at this moment or later; with its zone.
        - `created_before`: Added before this moment; with its zone.
        - `copies`: Only those whose bytes another source has too, in the collections listed.
        """
        return self._lines(
            Call(
                "GET",
                "/v1/sources/export",
                query={
                    "collection": collection,
                    "sha256": sha256,
                    "uri": uri,
                    "creator": creator,
                    "licence": licence,
                    "text": text,
                    "created_from": created_from,
                    "created_before": created_before,
                    "copies": copies,
                },
            )
        )

    def add_source(
        self,
        file: Image,
        *,
        metadata: Mapping[str, Any] | None = None,
        collection: str | None = None,
    ) -> documents.AddedSource:
        """Add a source.

        Add an image to a collection.

        Send the image as multipart field `file`, with what is known of it as JSON in `metadata`; or
        send the image itself as the body. A collection holds the same bytes once.

        - `collection`: It must exist.
        """
        return self._document(
            Call(
                "POST",
                "/v1/sources",
                query={"collection": collection},
                files=[("file", file)],
                form={"metadata": metadata},
            ),
            documents.AddedSource,
        )

    def list_sources(
        self,
        *,
        collection: Sequence[str] | None = None,
        sha256: str | None = None,
        uri: str | None = None,
        creator: str | None = None,
        licence: str | None = None,
        text: str | None = None,
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        copies: bool | None = None,
        order: Literal["oldest", "newest"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> documents.SourcePage:
        """List sources.

        List sources in order of addition, or the newest first; every filter given must hold.

        Keep the filters and the order from page to page.

        - `collection`: Repeat it for several; unset: all.
        - `uri`: Must match exactly, as the two below.
        - `text`: A part of the title, the creator, the uri or the licence, the case of a to z
          aside; or a whole id or sha256.
        - `created_from`: Added at this moment or later; with its zone.
        - `created_before`: Added before this moment; with its zone.
        - `copies`: Only those whose bytes another source has too, in the collections listed.
        - `order`: Which come first.
        - `limit`: Sources a page.
        - `cursor`: `next_cursor` of the page before.
        """
        return self._document(
            Call(
                "GET",
                "/v1/sources",
                query={
                    "collection": collection,
                    "sha256": sha256,
                    "uri": uri,
                    "creator": creator,
                    "licence": licence,
                    "text": text,
                    "created_from": created_from,
                    "created_before": created_before,
                    "copies": copies,
                    "order": order,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
            documents.SourcePage,
        )

    def get_source(self, source_id: str) -> documents.SourceDocument:
        """Show a source.

        Show one source; its ETag is what PATCH takes in If-Match.

        - `source_id`: Id of a source.
        """
        return self._document(
            Call("GET", f"/v1/sources/{self._quoted(source_id)}"), documents.SourceDocument
        )

    def update_source(
        self, source_id: str, body: documents.SourcePatch, *, if_match: str | None = None
    ) -> documents.SourceDocument:
        """Change what is said about a source.

        Change what is known of a source by a merge patch: null deletes, what is left out stays.

        - `source_id`: Id of a source.
        - `if_match`: ETag that the source must still have, else 412.
        """
        return self._document(
            Call(
                "PATCH",
                f"/v1/sources/{self._quoted(source_id)}",
                headers={"if-match": if_match},
                body=body,
            ),
            documents.SourceDocument,
        )

    def delete_source(
        self, source_id: str, *, if_match: str | None = None
    ) -> documents.DeletedSources:
        """Delete a source.

        Delete a source; it is in no answer from now on.

        - `source_id`: Id of a source.
        - `if_match`: ETag that the source must still have, else 412.
        """
        return self._document(
            Call(
                "DELETE", f"/v1/sources/{self._quoted(source_id)}", headers={"if-match": if_match}
            ),
            documents.DeletedSources,
        )

    def get_thumbnail(self, source_id: str, *, size: int | None = None) -> bytes | None:
        """A small picture of a source.

        Show a source as a small JPEG without metadata.

        - `source_id`: Id of a source.
        - `size`: Pixels on the long side, at most.
        """
        return self._bytes_or_none(
            Call("GET", f"/v1/sources/{self._quoted(source_id)}/thumbnail", query={"size": size})
        )

    def get_source_codes(self, source_id: str) -> documents.SourceCodesDocument:
        """The content codes of a source.

        Make International Standard Content Codes (ISO 24138) of what is held of a source.

        - `source_id`: Id of a source.
        """
        return self._document(
            Call("GET", f"/v1/sources/{self._quoted(source_id)}/iscc"),
            documents.SourceCodesDocument,
        )

    def list_collections(self) -> documents.CollectionPage:
        """List collections.

        List all collections that the caller may see, by name.
        """
        return self._document(Call("GET", "/v1/collections"), documents.CollectionPage)

    def get_collection(self, name: str) -> documents.CollectionDocument:
        """Show a collection.

        Show one collection.

        - `name`: Name of a collection.
        """
        return self._document(
            Call("GET", f"/v1/collections/{self._quoted(name)}"), documents.CollectionDocument
        )

    def put_collection(
        self, name: str, *, body: documents.PutCollection | None = None
    ) -> documents.CollectionDocument:
        """Make or describe a collection.

        Make a collection, or replace the description of an existing one.

        - `name`: Name of a collection.
        """
        return self._document(
            Call("PUT", f"/v1/collections/{self._quoted(name)}", body=body),
            documents.CollectionDocument,
        )

    def delete_collection(self, name: str) -> documents.DeletedCollection:
        """Delete a collection and its sources.

        Delete a collection with all its sources; they are in no answer from now on.

        - `name`: Name of a collection.
        """
        return self._document(
            Call("DELETE", f"/v1/collections/{self._quoted(name)}"), documents.DeletedCollection
        )

    def get_index(self) -> documents.IndexDocument:
        """State of the index and of calibration.

        Show what is searched, how far it is behind the catalog, and whether it is calibrated.

        To a key limited to collections it shows what that key searches: those, one by one.
        """
        return self._document(Call("GET", "/v1/index"), documents.IndexDocument)

    def save_index(self) -> documents.SnapshotDocument:
        """Save a snapshot of the index.

        Save the index now, so that the next start need not rebuild it.
        """
        return self._document(Call("POST", "/v1/index/snapshot"), documents.SnapshotDocument)

    def livez(self) -> documents.Health:
        """Is the process alive?.

        The process answers.
        """
        return self._document(Call("GET", "/livez"), documents.Health)

    def readyz(self) -> documents.Readiness:
        """Would a query be answered?.

        Encoder, index and catalog are there, and work; so do the threads that work on jobs.

        `degraded` where that is so, and yet the disk cannot be written or what was deleted is still
        on it: queries are answered, writes are not.
        """
        return self._document(Call("GET", "/readyz"), documents.Readiness)

    def metrics(self) -> str:
        """Metrics for Prometheus.

        Show durations by route and stage, queues, the index, decisions and calibration.
        """
        return self._text(Call("GET", "/metrics"))

    def get_problem_type(self, slug: str) -> documents.ProblemTypeDocument:
        """Get Problem Type.

        Explain a kind of problem.

        - `slug`: Last part of a problem's `type`.
        """
        return self._document(
            Call("GET", f"/problems/{self._quoted(slug)}"), documents.ProblemTypeDocument
        )


class AsyncOperations(AsyncCalling):
    """Each is awaited."""

    async def attribute_image(
        self,
        file: Image,
        *,
        top_k: int | None = None,
        collection: Sequence[str] | None = None,
        alpha: float | None = None,
        guarantee: Literal["average", "background"] | None = None,
        no_source: float | None = None,
        recall: float | None = None,
        any_way_up: bool | None = None,
        min_generation: int | None = None,
        explain: bool | None = None,
    ) -> documents.AttributionDocument:
        """Attribute one image.

        Rank the sources that an image may have come from, and decide whether it came from any.

        Send the image as multipart field `file`, or as the body itself. `top_k` sources are always
        listed, whatever the decision: look at `decision` and at each source's `attributed`. Accept
        `application/pdf`, `text/html` or `application/vnd.attribution.report+json` for a report.

        - `top_k`: Sources to list.
        - `collection`: Search this collection only; repeat it for several. Unset: all of them.
        - `alpha`: Rate of false attributions to accept; unset: the service's own.
        - `guarantee`: What the rate is promised of: `average` over draws of the background, or with
          95 % confidence the `background` that is there, which takes stronger evidence; unset: the
          service's own.
        - `no_source`: Share of your images that you believe to come from no source held here;
          shares start from it, decisions do not depend on it. Unset: what shares were fitted with,
          mostly 0.5.
        - `recall`: Instead of `top_k`, list as few sources as hold a true one at this rate, of
          images that have one held here and are like those that the rate was measured on, which the
          answer names; at most 100.
        - `any_way_up`: The image may be turned by a quarter or upside down: it is looked at in all
          four ways, and the best answer is given, with p-values that allow for all of them (four
          times as large).
        - `min_generation`: Answer only once the index has seen this write, whose number it
          returned.
        - `explain`: Also show where: heat maps of the attributed sources, at most 10 (of the first
          3 listed when none is attributed), and a map of the image's regions.
        """
        return await self._document(
            Call(
                "POST",
                "/v1/attributions",
                query={
                    "top_k": top_k,
                    "collection": collection,
                    "alpha": alpha,
                    "guarantee": guarantee,
                    "no_source": no_source,
                    "recall": recall,
                    "any_way_up": any_way_up,
                    "min_generation": min_generation,
                    "explain": explain,
                },
                files=[("file", file)],
            ),
            documents.AttributionDocument,
        )

    async def attribute_images(
        self,
        files: Sequence[Image],
        *,
        top_k: int | None = None,
        collection: Sequence[str] | None = None,
        alpha: float | None = None,
        guarantee: Literal["average", "background"] | None = None,
        no_source: float | None = None,
        recall: float | None = None,
        any_way_up: bool | None = None,
        min_generation: int | None = None,
        explain: bool | None = None,
    ) -> documents.AttributionBatch:
        """Attribute several images.

        Attribute each image of the repeated multipart field `files`, and answer in their order.

        An image that cannot be answered gets its own problem; the others are not affected.

        - `top_k`: Sources to list.
        - `collection`: Search this collection only; repeat it for several. Unset: all of them.
        - `alpha`: Rate of false attributions to accept; unset: the service's own.
        - `guarantee`: What the rate is promised of: `average` over draws of the background, or with
          95 % confidence the `background` that is there, which takes stronger evidence; unset: the
          service's own.
        - `no_source`: Share of your images that you believe to come from no source held here;
          shares start from it, decisions do not depend on it. Unset: what shares were fitted with,
          mostly 0.5.
        - `recall`: Instead of `top_k`, list as few sources as hold a true one at this rate, of
          images that have one held here and are like those that the rate was measured on, which the
          answer names; at most 100.
        - `any_way_up`: The image may be turned by a quarter or upside down: it is looked at in all
          four ways, and the best answer is given, with p-values that allow for all of them (four
          times as large).
        - `min_generation`: Answer only once the index has seen this write, whose number it
          returned.
        - `explain`: Also show where: heat maps of the attributed sources, at most 10 (of the first
          3 listed when none is attributed), and a map of the image's regions.
        """
        return await self._document(
            Call(
                "POST",
                "/v1/attributions/batch",
                query={
                    "top_k": top_k,
                    "collection": collection,
                    "alpha": alpha,
                    "guarantee": guarantee,
                    "no_source": no_source,
                    "recall": recall,
                    "any_way_up": any_way_up,
                    "min_generation": min_generation,
                    "explain": explain,
                },
                files=[("files", each) for each in files],
            ),
            documents.AttributionBatch,
        )

    async def get_report_key(self) -> documents.ReportKey:
        """The public key of signed reports.

        Show the Ed25519 key that reports are signed with now; keep it to check old reports.
        """
        return await self._document(Call("GET", "/v1/report-key"), documents.ReportKey)

    async def create_job(
        self,
        files: Sequence[Image],
        *,
        top_k: int | None = None,
        collection: Sequence[str] | None = None,
        alpha: float | None = None,
        guarantee: Literal["average", "background"] | None = None,
        no_source: float | None = None,
        recall: float | None = None,
        any_way_up: bool | None = None,
        min_generation: int | None = None,
        idempotency_key: str | None = None,
    ) -> documents.JobDocument:
        """Attribute many images.

        Accept images to be attributed one after the other; `Location` tells how far it is.

        Send them as the repeated multipart field `files`, or as one zip archive, as such a file or
        as
        the body. Once this answers, the job survives the end of the process.

        - `top_k`: Sources to list.
        - `collection`: Search this collection only; repeat it for several. Unset: all of them.
        - `alpha`: Rate of false attributions to accept; unset: the service's own.
        - `guarantee`: What the rate is promised of: `average` over draws of the background, or with
          95 % confidence the `background` that is there, which takes stronger evidence; unset: the
          service's own.
        - `no_source`: Share of your images that you believe to come from no source held here;
          shares start from it, decisions do not depend on it. Unset: what shares were fitted with,
          mostly 0.5.
        - `recall`: Instead of `top_k`, list as few sources as hold a true one at this rate, of
          images that have one held here and are like those that the rate was measured on, which the
          answer names; at most 100.
        - `any_way_up`: The image may be turned by a quarter or upside down: it is looked at in all
          four ways, and the best answer is given, with p-values that allow for all of them (four
          times as large).
        - `min_generation`: Answer only once the index has seen this write, whose number it
          returned.
        - `idempotency_key`: The same request under the same key makes one job, however often it is
          sent.
        """
        return await self._document(
            Call(
                "POST",
                "/v1/jobs",
                query={
                    "top_k": top_k,
                    "collection": collection,
                    "alpha": alpha,
                    "guarantee": guarantee,
                    "no_source": no_source,
                    "recall": recall,
                    "any_way_up": any_way_up,
                    "min_generation": min_generation,
                },
                headers={"idempotency-key": idempotency_key},
                files=[("files", each) for each in files],
            ),
            documents.JobDocument,
        )

    async def list_jobs(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> documents.JobPage:
        """List jobs.

        List the jobs that the caller may see, the newest first.

        - `limit`: Jobs a page.
        - `cursor`: `next_cursor` of the page before.
        """
        return await self._document(
            Call("GET", "/v1/jobs", query={"limit": limit, "cursor": cursor}), documents.JobPage
        )

    async def get_job(self, job_id: str) -> documents.JobDocument:
        """How far is a job?.

        Show a job: its state, and how many of its images have a result.

        - `job_id`: Id of a job.
        """
        return await self._document(
            Call("GET", f"/v1/jobs/{self._quoted(job_id)}"), documents.JobDocument
        )

    async def delete_job(self, job_id: str) -> documents.JobDocument | None:
        """Purge a job.

        Purge a job in whatever state, with its results and its images.

        202 where an image cannot be removed yet: the job is there until it is, ended and without
        any
        result, and says what is `remaining`.

        - `job_id`: Id of a job.
        """
        return await self._document_or_none(
            Call("DELETE", f"/v1/jobs/{self._quoted(job_id)}"), documents.JobDocument
        )

    def get_job_results(
        self, job_id: str, *, after: int | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Results of a job.

        Read the results there are by now, in the order in which images ended.

        Ask again with the last `sequence` as `after` for those that come later.

        - `job_id`: Id of a job.
        - `after`: `sequence` of the last result already read.
        """
        return self._lines(
            Call("GET", f"/v1/jobs/{self._quoted(job_id)}/results", query={"after": after})
        )

    async def cancel_job(self, job_id: str) -> documents.JobDocument:
        """Cancel a job.

        End a job early: its results stay, its other images are erased. One that ended stays so.

        202 where an image cannot be erased yet: see `remaining`.

        - `job_id`: Id of a job.
        """
        return await self._document(
            Call("POST", f"/v1/jobs/{self._quoted(job_id)}/cancel"), documents.JobDocument
        )

    async def add_sources(
        self,
        files: Sequence[Image],
        *,
        metadata: Sequence[Mapping[str, Any]] | None = None,
        collection: str | None = None,
    ) -> documents.AddedBatch:
        """Add several sources.

        Add each image of the repeated multipart field `files`, and answer in their order.

        An image that cannot be added gets its own problem; the others are not affected.

        - `collection`: It must exist.
        """
        return await self._document(
            Call(
                "POST",
                "/v1/sources/batch",
                query={"collection": collection},
                files=[("files", each) for each in files],
                form={"metadata": metadata},
            ),
            documents.AddedBatch,
        )

    async def delete_sources(self, body: documents.DeleteSources) -> documents.DeletedSources:
        """Delete sources by id or by sha256.

        Delete up to 1,000 sources by id, or by the digest of their bytes in every collection.

        They are in no answer from now on. What names nothing comes back in `missing`. A takedown
        also
        deletes what has the same bytes elsewhere, and refuses these bytes from now on.
        """
        return await self._document(
            Call("POST", "/v1/sources/delete", body=body), documents.DeletedSources
        )

    def export_sources(
        self,
        *,
        collection: Sequence[str] | None = None,
        sha256: str | None = None,
        uri: str | None = None,
        creator: str | None = None,
        licence: str | None = None,
        text: str | None = None,
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        copies: bool | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Export sources as a manifest.

        Write every source as a line of a manifest, which `attribution ingest` reads.

        - `collection`: Repeat it for several; unset: all.
        - `uri`: Must match exactly, as the two below.
        - `text`: A part of the title, the creator, the uri or the licence, the case of a to z
          aside; or a whole id or sha256.
        - `created_from`: Added at this moment or later; with its zone.
        - `created_before`: Added before this moment; with its zone.
        - `copies`: Only those whose bytes another source has too, in the collections listed.
        """
        return self._lines(
            Call(
                "GET",
                "/v1/sources/export",
                query={
                    "collection": collection,
                    "sha256": sha256,
                    "uri": uri,
                    "creator": creator,
                    "licence": licence,
                    "text": text,
                    "created_from": created_from,
                    "created_before": created_before,
                    "copies": copies,
                },
            )
        )

    async def add_source(
        self,
        file: Image,
        *,
        metadata: Mapping[str, Any] | None = None,
        collection: str | None = None,
    ) -> documents.AddedSource:
        """Add a source.

        Add an image to a collection.

        Send the image as multipart field `file`, with what is known of it as JSON in `metadata`; or
        send the image itself as the body. A collection holds the same bytes once.

        - `collection`: It must exist.
        """
        return await self._document(
            Call(
                "POST",
                "/v1/sources",
                query={"collection": collection},
                files=[("file", file)],
                form={"metadata": metadata},
            ),
            documents.AddedSource,
        )

    async def list_sources(
        self,
        *,
        collection: Sequence[str] | None = None,
        sha256: str | None = None,
        uri: str | None = None,
        creator: str | None = None,
        licence: str | None = None,
        text: str | None = None,
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        copies: bool | None = None,
        order: Literal["oldest", "newest"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> documents.SourcePage:
        """List sources.

        List sources in order of addition, or the newest first; every filter given must hold.

        Keep the filters and the order from page to page.

        - `collection`: Repeat it for several; unset: all.
        - `uri`: Must match exactly, as the two below.
        - `text`: A part of the title, the creator, the uri or the licence, the case of a to z
          aside; or a whole id or sha256.
        - `created_from`: Added at this moment or later; with its zone.
        - `created_before`: Added before this moment; with its zone.
        - `copies`: Only those whose bytes another source has too, in the collections listed.
        - `order`: Which come first.
        - `limit`: Sources a page.
        - `cursor`: `next_cursor` of the page before.
        """
        return await self._document(
            Call(
                "GET",
                "/v1/sources",
                query={
                    "collection": collection,
                    "sha256": sha256,
                    "uri": uri,
                    "creator": creator,
                    "licence": licence,
                    "text": text,
                    "created_from": created_from,
                    "created_before": created_before,
                    "copies": copies,
                    "order": order,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
            documents.SourcePage,
        )

    async def get_source(self, source_id: str) -> documents.SourceDocument:
        """Show a source.

        Show one source; its ETag is what PATCH takes in If-Match.

        - `source_id`: Id of a source.
        """
        return await self._document(
            Call("GET", f"/v1/sources/{self._quoted(source_id)}"), documents.SourceDocument
        )

    async def update_source(
        self, source_id: str, body: documents.SourcePatch, *, if_match: str | None = None
    ) -> documents.SourceDocument:
        """Change what is said about a source.

        Change what is known of a source by a merge patch: null deletes, what is left out stays.

        - `source_id`: Id of a source.
        - `if_match`: ETag that the source must still have, else 412.
        """
        return await self._document(
            Call(
                "PATCH",
                f"/v1/sources/{self._quoted(source_id)}",
                headers={"if-match": if_match},
                body=body,
            ),
            documents.SourceDocument,
        )

    async def delete_source(
        self, source_id: str, *, if_match: str | None = None
    ) -> documents.DeletedSources:
        """Delete a source.

        Delete a source; it is in no answer from now on.

        - `source_id`: Id of a source.
        - `if_match`: ETag that the source must still have, else 412.
        """
        return await self._document(
            Call(
                "DELETE", f"/v1/sources/{self._quoted(source_id)}", headers={"if-match": if_match}
            ),
            documents.DeletedSources,
        )

    async def get_thumbnail(self, source_id: str, *, size: int | None = None) -> bytes | None:
        """A small picture of a source.

        Show a source as a small JPEG without metadata.

        - `source_id`: Id of a source.
        - `size`: Pixels on the long side, at most.
        """
        return await self._bytes_or_none(
            Call("GET", f"/v1/sources/{self._quoted(source_id)}/thumbnail", query={"size": size})
        )

    async def get_source_codes(self, source_id: str) -> documents.SourceCodesDocument:
        """The content codes of a source.

        Make International Standard Content Codes (ISO 24138) of what is held of a source.

        - `source_id`: Id of a source.
        """
        return await self._document(
            Call("GET", f"/v1/sources/{self._quoted(source_id)}/iscc"),
            documents.SourceCodesDocument,
        )

    async def list_collections(self) -> documents.CollectionPage:
        """List collections.

        List all collections that the caller may see, by name.
        """
        return await self._document(Call("GET", "/v1/collections"), documents.CollectionPage)

    async def get_collection(self, name: str) -> documents.CollectionDocument:
        """Show a collection.

        Show one collection.

        - `name`: Name of a collection.
        """
        return await self._document(
            Call("GET", f"/v1/collections/{self._quoted(name)}"), documents.CollectionDocument
        )

    async def put_collection(
        self, name: str, *, body: documents.PutCollection | None = None
    ) -> documents.CollectionDocument:
        """Make or describe a collection.

        Make a collection, or replace the description of an existing one.

        - `name`: Name of a collection.
        """
        return await self._document(
            Call("PUT", f"/v1/collections/{self._quoted(name)}", body=body),
            documents.CollectionDocument,
        )

    async def delete_collection(self, name: str) -> documents.DeletedCollection:
        """Delete a collection and its sources.

        Delete a collection with all its sources; they are in no answer from now on.

        - `name`: Name of a collection.
        """
        return await self._document(
            Call("DELETE", f"/v1/collections/{self._quoted(name)}"), documents.DeletedCollection
        )

    async def get_index(self) -> documents.IndexDocument:
        """State of the index and of calibration.

        Show what is searched, how far it is behind the catalog, and whether it is calibrated.

        To a key limited to collections it shows what that key searches: those, one by one.
        """
        return await self._document(Call("GET", "/v1/index"), documents.IndexDocument)

    async def save_index(self) -> documents.SnapshotDocument:
        """Save a snapshot of the index.

        Save the index now, so that the next start need not rebuild it.
        """
        return await self._document(Call("POST", "/v1/index/snapshot"), documents.SnapshotDocument)

    async def livez(self) -> documents.Health:
        """Is the process alive?.

        The process answers.
        """
        return await self._document(Call("GET", "/livez"), documents.Health)

    async def readyz(self) -> documents.Readiness:
        """Would a query be answered?.

        Encoder, index and catalog are there, and work; so do the threads that work on jobs.

        `degraded` where that is so, and yet the disk cannot be written or what was deleted is still
        on it: queries are answered, writes are not.
        """
        return await self._document(Call("GET", "/readyz"), documents.Readiness)

    async def metrics(self) -> str:
        """Metrics for Prometheus.

        Show durations by route and stage, queues, the index, decisions and calibration.
        """
        return await self._text(Call("GET", "/metrics"))

    async def get_problem_type(self, slug: str) -> documents.ProblemTypeDocument:
        """Get Problem Type.

        Explain a kind of problem.

        - `slug`: Last part of a problem's `type`.
        """
        return await self._document(
            Call("GET", f"/problems/{self._quoted(slug)}"), documents.ProblemTypeDocument
        )
