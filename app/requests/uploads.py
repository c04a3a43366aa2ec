"""Images as they arrive in request bodies; reads bytes, and decodes none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from app.inference.upload import Upload
from app.problems.problem import FieldError, Problem, invalid
from app.requests.parts import read_form

MULTIPART = "multipart/form-data"
# Of a `metadata` part: what is known of one image, and of several.
_MAX_TEXT_BYTES = 1_048_576
_MAX_LIST_BYTES = 4 * 1_048_576


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A multipart body: the files of the expected field, and the text of `metadata` if sent."""

    uploads: Sequence[Upload]
    metadata: bytes | None


@asynccontextmanager
async def single_image(request: Request, *, fields: Sequence[str] = ()) -> AsyncIterator[Form]:
    """Read one image: the multipart field `file`, or the raw image as the body.

    Args:
        request: nothing of its body has been read.
        fields: further multipart fields that are welcome.

    Raises:
        Problem: 400, 413, 415 or 422, saying what was expected.
    """
    media_type = _media_type(request)
    if media_type.startswith("image/"):
        data = await request.body()
        yield Form([Upload(None, len(data), None, data)], None)
        return
    expected = f"an image as the body (Content-Type: image/jpeg or similar), {MULTIPART}"
    if media_type != MULTIPART:
        raise _unsupported(media_type, expected)
    async with _form(request, "file", fields, files=8, text_bytes=_MAX_TEXT_BYTES) as form:
        if len(form.uploads) != 1:
            raise invalid("body.file", f"expected one file, got {len(form.uploads)}")
        yield form


@asynccontextmanager
async def several_images(
    request: Request, *, limit: int, fields: Sequence[str] = ()
) -> AsyncIterator[Form]:
    """Read the repeated multipart field `files`, at most `limit` of them.

    Raises:
        Problem: 400, 413, 415 or 422, saying what was expected.
    """
    media_type = _media_type(request)
    if media_type != MULTIPART:
        raise _unsupported(media_type, MULTIPART)
    async with _form(request, "files", fields, files=4 * limit, text_bytes=_MAX_LIST_BYTES) as form:
        if len(form.uploads) > limit:
            raise Problem(
                "too-many-images",
                f"The request has {len(form.uploads)} images, more than the {limit} allowed in "
                "one.",
            )
        yield form


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _unsupported(media_type: str, expected: str) -> Problem:
    sent = f"not {media_type!r}" if media_type else "and a Content-Type header"
    return Problem("unsupported-media-type", f"Send {expected}, {sent}.")


@asynccontextmanager
async def _form(
    request: Request, field: str, others: Sequence[str], *, files: int, text_bytes: int
) -> AsyncIterator[Form]:
    """Read a multipart body of at most so many files, and parts of text of so many bytes."""
    form = await read_form(request, files=files, fields=8, text_bytes=text_bytes)
    try:
        yield Form(_uploads(form, field, others), await _metadata(form))
    finally:
        await form.close()


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
    if (value.size or 0) > _MAX_LIST_BYTES:
        raise invalid("body.metadata", f"longer than {_MAX_LIST_BYTES:,} bytes")
    return await value.read()
