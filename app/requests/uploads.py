"""Images as they arrive in request bodies; reads bytes, and decodes none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from app.inference.upload import Upload
from app.problems.problem import FieldError, Problem, invalid
from app.requests.bodies import counted, declared_bytes, refusing, too_large

MULTIPART = "multipart/form-data"
_FRAMING_BYTES = 1_048_576
"""Room for the other parts and the boundaries of a multipart body with one image."""
_MAX_METADATA_BYTES = 4 * 1_048_576


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A multipart body: the files of the expected field, and the text of `metadata` if sent."""

    uploads: Sequence[Upload]
    metadata: bytes | None


@asynccontextmanager
async def single_image(
    request: Request, *, max_bytes: int, fields: Sequence[str] = ()
) -> AsyncIterator[Form]:
    """Read one image: the multipart field `file`, or the raw image as the body.

    Args:
        request: nothing of its body has been read.
        max_bytes: largest image accepted; a body that must hold a larger one is cut off.
        fields: further multipart fields that are welcome.

    Raises:
        Problem: 413, 415 or 422, saying what was expected.
    """
    content_type = _media_type(request)
    if content_type.startswith("image/"):
        data = await request.body()
        yield Form([Upload(None, len(data), None, data)], None)
        return
    _require_multipart(content_type, "an image as the body (Content-Type: image/jpeg or similar), ")
    limit = max_bytes + _FRAMING_BYTES
    problem = too_large("image-too-large", limit)
    if declared_bytes(request.headers) > limit:
        raise problem
    limited = Request(request.scope, counted(request.receive, refusing(limit, problem)))
    async with limited.form(max_files=8, max_fields=8, max_part_size=_FRAMING_BYTES) as form:
        uploads = _uploads(form, "file", fields)
        if len(uploads) != 1:
            raise invalid("body.file", f"expected one file, got {len(uploads)}")
        yield Form(uploads, await _metadata(form))


@asynccontextmanager
async def several_images(
    request: Request, *, limit: int, fields: Sequence[str] = ()
) -> AsyncIterator[Form]:
    """Read the repeated multipart field `files`, at most `limit` of them.

    Raises:
        Problem: 413, 415 or 422, saying what was expected.
    """
    _require_multipart(_media_type(request), "")
    async with request.form(
        max_files=4 * limit, max_fields=8, max_part_size=_MAX_METADATA_BYTES
    ) as form:
        uploads = _uploads(form, "files", fields)
        if len(uploads) > limit:
            raise Problem(
                "too-many-images",
                f"The request has {len(uploads)} images, more than the {limit} allowed in one.",
            )
        yield Form(uploads, await _metadata(form))


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _require_multipart(content_type: str, otherwise: str) -> None:
    if content_type == MULTIPART:
        return
    sent = f"not {content_type!r}" if content_type else "and a Content-Type header"
    raise Problem("unsupported-media-type", f"Send {otherwise}{MULTIPART}, {sent}.")


def _uploads(form: FormData, field: str, others: Sequence[str]) -> list[Upload]:
    welcome = [field, *others]
    unknown = sorted({name for name in form if name not in welcome})
    if unknown or field not in form:
        detail = f"expected the multipart field {field!r}"
        detail += f", got {unknown[0]!r}" if unknown else ", which is missing"
        raise Problem("invalid-request", f"{detail}.", errors=[FieldError(f"body.{field}", detail)])
    return [_upload(value, field) for value in form.getlist(field)]


def _upload(value: UploadFile | str, field: str) -> Upload:
    if isinstance(value, str):
        raise invalid(f"body.{field}", "expected a file part with a filename, got a text part")
    # A hostile charset can smuggle in what UTF-8 cannot say, and the name goes into answers.
    filename = (value.filename or "").encode("utf-8", "replace").decode()
    return Upload(filename or None, value.size or 0, value.file)


async def _metadata(form: FormData) -> bytes | None:
    values = form.getlist("metadata")
    if not values:
        return None
    if len(values) > 1:
        raise invalid("body.metadata", "expected one part")
    value = values[0]
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")  # the JSON parser refuses the rest
    if (value.size or 0) > _MAX_METADATA_BYTES:
        raise invalid("body.metadata", f"longer than {_MAX_METADATA_BYTES:,} bytes")
    return await value.read()
