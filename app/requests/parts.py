"""Parts of multipart bodies: their headers, and whether the last of them has ended; no images."""

from __future__ import annotations

from email.message import Message

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from app.problems.problem import Problem

_NOT_ENCODED = {b"", b"binary", b"8bit", b"7bit", b"identity"}
_ENCODINGS = (b"content-encoding", b"content-transfer-encoding")


async def read_form(request: Request, *, files: int, fields: int, text_bytes: int) -> FormData:
    """A multipart body, whole; whoever asks for it closes it.

    Args:
        request: nothing of its body has been read.
        files: as many parts may be files.
        fields: as many may be text.
        text_bytes: as long may each of those be.

    Raises:
        Problem: 400 where it is broken or ends before its last boundary; 415.
        OSError: a large file of it cannot be written to the disk.
    """
    parser = _WholeBody(
        request.headers,
        request.stream(),
        max_files=files,
        max_fields=fields,
        max_part_size=text_bytes,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Problem("malformed-body", error.message) from error
    if not parser.ended:
        parser.close_files()
        raise cut_short()
    return form


def cut_short() -> Problem:
    """The problem of a body of which the end has not come."""
    return Problem("malformed-body", "The multipart body ends before its last boundary.")


def options_of(disposition: bytes) -> dict[bytes, bytes]:
    """The parameters of a Content-Disposition; a `filename*` alone counts as `filename`, UTF-8.

    Where both are there the plain one holds: RFC 7578 knows no other in forms.
    """
    _, options = parse_options_header(disposition)
    if b"filename" not in options and b"filename*" in disposition.lower():
        message = Message()
        message["Content-Disposition"] = disposition.decode("latin-1")
        name = message.get_filename()
        if name is not None:
            options[b"filename"] = name.encode("utf-8", "replace")
    return options


def refuse_encoded(name: bytes, value: bytes) -> None:
    """Refuse a part that says in a header that its bytes are not the file's own.

    Raises:
        Problem: 415, naming the encoding.
    """
    if name.lower() in _ENCODINGS and value.strip().lower() not in _NOT_ENCODED:
        said = f"{name.decode('latin-1')}: {value.decode('latin-1')[:100]}"
        raise Problem(
            "unsupported-media-type",
            f"A part says {said!r}; send the bytes of the file as they are.",
        )


class _WholeBody(MultiPartParser):
    """Starlette's, which also tells whether the last boundary has come."""

    ended = False

    def close_files(self) -> None:
        """Also those that are in no form, for their parts have not ended."""
        for file in self._files_to_close_on_error:
            file.close()

    def on_end(self) -> None:
        """The last boundary is there."""
        self.ended = True

    def on_header_end(self) -> None:
        """A header of a part is there."""
        refuse_encoded(self._current_partial_header_name, self._current_partial_header_value)
        super().on_header_end()

    def on_headers_finished(self) -> None:
        """All headers of a part are there; what Starlette knows of names is the plain form."""
        given = self._current_part.content_disposition or b""
        options = options_of(given)
        if b"filename" in options and b"filename" not in parse_options_header(given)[1]:
            name = options[b"filename"].replace(b"\\", b"\\\\").replace(b'"', b'\\"')
            self._current_part.content_disposition = given + b'; filename="' + name + b'"'
        super().on_headers_finished()
