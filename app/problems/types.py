"""Every kind of problem the service answers with: its stable name, status, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem: its status, its short name for people, and what to do about it."""

    slug: str
    status: int
    title: str
    advice: str

    @property
    def uri(self) -> str:
        """The `type` member: relative to the service, so that it can be opened there."""
        return f"/problems/{self.slug}"


_CATALOGUE = (
    ProblemType(
        "malformed-body", 400, "Malformed body", "Send a complete body that fits its Content-Type."
    ),
    ProblemType(
        "unauthenticated",
        401,
        "Unauthenticated",
        "Send a valid key as `Authorization: Bearer KEY`; `attribution keys create`, run where "
        "the service runs, makes one.",
    ),
    ProblemType(
        "forbidden",
        403,
        "Forbidden",
        "Use a key that has the scope named in `detail`, and is not limited where it must not be.",
    ),
    ProblemType(
        "cross-site-request",
        403,
        "Cross-site request",
        "Call from this machine and from the service's own pages; a service on a loopback "
        "address answers nobody else.",
    ),
    ProblemType("not-found", 404, "Not found", "Check the address against /docs."),
    ProblemType("source-not-found", 404, "Source not found", "List sources with GET /v1/sources."),
    ProblemType(
        "preview-missing",
        404,
        "Preview missing",
        "Run a restore from a backup, or delete the source and add it again.",
    ),
    ProblemType(
        "job-not-found",
        404,
        "Job not found",
        "Check the id; a job is purged some time after it has ended.",
    ),
    ProblemType(
        "input-missing",
        404,
        "Input missing",
        "Send the image again in a new job: its file was lost, as after a restore from a "
        "backup, or its bytes were taken down.",
    ),
    ProblemType(
        "no-signing-key",
        404,
        "No signing key",
        "Reports of this service are not signed; its operator can set ATTRIBUTION_SIGNING_KEY.",
    ),
    ProblemType(
        "collection-not-found",
        404,
        "Collection not found",
        "List collections with GET /v1/collections, or make this one with PUT.",
    ),
    ProblemType(
        "method-not-allowed", 405, "Method not allowed", "Use a method that the Allow header names."
    ),
    ProblemType("not-acceptable", 406, "Not acceptable", "Accept application/json."),
    ProblemType(
        "pdf-unavailable",
        406,
        "PDF unavailable",
        "Accept text/html, or have the operator add PDF to the service: "
        "pip install 'attribution[report]'.",
    ),
    ProblemType(
        "iscc-unavailable",
        501,
        "Content codes unavailable",
        "Have the operator add them to the service: pip install 'attribution[iscc]'.",
    ),
    ProblemType(
        "request-timeout",
        408,
        "Request timeout",
        "Send the request again, without pausing and over a faster connection.",
    ),
    ProblemType(
        "collection-protected",
        409,
        "Collection protected",
        "The default collection always exists; delete its sources instead.",
    ),
    ProblemType(
        "generation-unknown",
        409,
        "Generation unknown",
        "Ask for a min_generation that a write of this catalog has returned; after a "
        "restore from a backup, numbers may have gone back.",
    ),
    ProblemType(
        "source-taken-down",
        409,
        "Source taken down",
        "Leave it out: the operator has had these bytes taken down.",
    ),
    ProblemType(
        "revision-mismatch",
        412,
        "Revision mismatch",
        "Read the source again, then repeat the change with its present ETag in If-Match.",
    ),
    ProblemType(
        "request-too-large", 413, "Request too large", "Send fewer or smaller images a request."
    ),
    ProblemType(
        "image-too-large", 413, "Image too large", "Send a smaller file: compress or resize it."
    ),
    ProblemType(
        "too-many-pixels", 413, "Too many pixels", "Resize the image below the pixel limit."
    ),
    ProblemType(
        "too-many-images", 413, "Too many images", "Split the images over several requests."
    ),
    ProblemType(
        "unsupported-media-type",
        415,
        "Unsupported media type",
        "Send the Content-Type that the endpoint expects.",
    ),
    ProblemType("unsupported-image", 415, "Unsupported image", "Send JPEG, PNG, WebP or GIF."),
    ProblemType("invalid-request", 422, "Invalid request", "Correct what `errors` names."),
    ProblemType("empty-image", 422, "Empty image", "Send the bytes of an image."),
    ProblemType("corrupt-image", 422, "Corrupt image", "Send the file again, whole and undamaged."),
    ProblemType(
        "archive-refused",
        422,
        "Archive refused",
        "Send a plain zip of image files, not nested and not encrypted, within the limits.",
    ),
    ProblemType(
        "idempotency-key-reused",
        422,
        "Idempotency key reused",
        "Use a new Idempotency-Key for another request.",
    ),
    ProblemType(
        "too-many-requests",
        429,
        "Too many requests",
        "Try again after the time in Retry-After; the RateLimit headers say how much is left.",
    ),
    ProblemType(
        "internal-error", 500, "Internal error", "Report it with the request id; the log has more."
    ),
    ProblemType("overloaded", 503, "Overloaded", "Try again after the time in Retry-After."),
    ProblemType(
        "inference-failed",
        503,
        "Inference failed",
        ("Try again after the time in Retry-After; when it goes on, look into the service's log."),
    ),
    ProblemType(
        "generation-not-reached",
        503,
        "Generation not reached",
        "Try again after the time in Retry-After: the index is behind the catalog.",
    ),
    ProblemType("not-ready", 503, "Not ready", "Wait until /readyz answers 200."),
    ProblemType(
        "catalog-unavailable",
        503,
        "Catalog unavailable",
        "Try again after the time in Retry-After; nothing was written.",
    ),
    ProblemType(
        "index-unavailable",
        503,
        "Index unavailable",
        "Try again after the time in Retry-After; what was written stays written.",
    ),
    ProblemType(
        "storage-unavailable",
        503,
        "Storage unavailable",
        "Have the operator let the service write its data folder and its folder for temporary "
        "files, and see whether the disks are sound; /readyz says which it is.",
    ),
    ProblemType(
        "storage-full",
        507,
        "Storage full",
        "Free space on the catalog's disk; nothing was written.",
    ),
)

PROBLEM_TYPES: Mapping[str, ProblemType] = {kind.slug: kind for kind in _CATALOGUE}
