"""The service that runs on the same data folder, asked in the place of opening the folder anew.

It has encoder, index and null in memory, so its answer comes at once; it is the one that this
process would give. Where that is not sure, or the service does not answer, there is no neighbour.
It imports nothing heavy: the point of asking is to be quick.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import ValidationError

from app.cli.asked import Asked
from app.cli.console import note
from app.settings import Settings
from attribution.folder_lock import Listening, listening_on

_ANSWER_SECONDS = 60.0
_GREETING_SECONDS = 2.0
_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403


class _Answer(Protocol):
    """As much of an answer as this module looks at."""

    @property
    def calibration(self) -> _Calibration:
        """What decided."""

    @classmethod
    def model_validate_json(cls, json_data: bytes, /) -> Self:
        """Part of pydantic's models."""


class _Calibration(Protocol):
    @property
    def state(self) -> str:
        """`building` while there is no decision yet."""


Document = TypeVar("Document", bound=_Answer)


class _Unusable(Exception):
    """The service cannot be asked; the message says why, and is empty where there is none."""


class Neighbour:
    """A service that answers as this process would; see `neighbour_of`.

    Attributes:
        url: where it is asked.
        generation: the last change of the catalog when it was found; its answers have seen it.
    """

    def __init__(self, listening: Listening, key: str | None) -> None:
        self.url = listening.url
        address = urlsplit(listening.url)
        self._connection = HTTPConnection(
            address.hostname or "", address.port, timeout=_GREETING_SECONDS
        )
        self._authorization: dict[str, str] = {}
        self._told = False
        try:
            self.generation = self._greet(listening, key)
        finally:
            self._connection.close()
        self._connection.timeout = _ANSWER_SECONDS

    def attribute(
        self,
        path: Path,
        asked: Asked,
        document: type[Document],
        most: int,
        *,
        accept: str = "application/json",
        explain: bool = False,
    ) -> Document | None:
        """What it answers about an image; None where it gives no answer with all that it should.

        Args:
            path: of the image.
            asked: the question.
            document: what the answer is read as.
            most: bytes beyond which the file is not read.
            accept: media type of the answer.
            explain: with maps.
        """
        parameters = {**asked.parameters, "min_generation": self.generation}
        if explain:
            parameters["explain"] = "true"
        headers = {"Content-Type": "image/*", "Accept": accept}
        try:
            if path.stat().st_size > most:
                return None
            query = urlencode(parameters, doseq=True)
            status, body = self._request(
                "POST", f"/v1/attributions?{query}", headers=headers, body=path.read_bytes()
            )
            answer = document.model_validate_json(body) if status == _OK else None
        except (OSError, HTTPException, ValidationError):  # no file, no service, another version
            self._connection.close()
            return None
        if answer is None or answer.calibration.state == "building":
            return None
        if not self._told:
            note(f"answered by the service at {self.url}")
            self._told = True
        return answer

    def thumbnail(self, source_id: str, size: int) -> bytes | None:
        """A JPEG of a source, at most `size` pixels on the long side; None where there is none."""
        path = f"/v1/sources/{quote(source_id, safe='')}/thumbnail?size={size}"
        try:
            status, body = self._request("GET", path, headers={})
        except (OSError, HTTPException):
            self._connection.close()
            return None
        return body if status == _OK else None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _greet(self, listening: Listening, key: str | None) -> int:
        """Make sure that it is the one, and that it answers as we would; the generation then.

        Raises:
            _Unusable: it is not, or does not.
        """
        # Without the key: another program may have got the address since.
        status, health = self._document("/livez")
        if status != _OK or health.get("instance") != listening.instance:
            raise _Unusable
        if key is not None:
            self._authorization = {"Authorization": f"Bearer {key}"}
        status, index = self._document("/v1/index")
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            wanted = "wants a key (--key-file)" if key is None else "refuses the key"
            raise _Unusable(f"the service at {self.url} {wanted}")
        if status != _OK:
            raise _Unusable(f"the service at {self.url} answers {status}")
        if index["collections"] is not None:
            raise _Unusable(f"the key for the service at {self.url} does not reach everything")
        if index["calibration"]["state"] == "building":
            raise _Unusable(f"the service at {self.url} is calibrating")
        return int(index["generation"]) + int(index["lag"])

    def _document(self, path: str) -> tuple[int, Any]:
        status, body = self._request("GET", path, headers={})
        return status, json.loads(body)

    def _request(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, bytes]:
        whole = {**self._authorization, **headers}
        self._connection.request(method, path, body=body, headers=whole)
        response = self._connection.getresponse()
        return response.status, response.read()


@contextmanager
def neighbour_of(
    settings: Settings, key_file: Path | None, *, named: bool
) -> Iterator[Neighbour | None]:
    """The service on the settings' data folder, if there is one that answers as they would.

    Why a service that is there is not asked is said on stderr.

    Args:
        settings: of this process.
        key_file: holds the key to send; None for none.
        named: the command line names an encoder, so no service is looked for.

    Raises:
        OSError: the file of the key cannot be read.
    """
    key = key_of(settings, key_file)
    listening = None if named else listening_on(settings.data)
    found = None if listening is None else _found(listening, settings, key)
    try:
        yield found
    finally:
        if found is not None:
            found.close()


def key_of(settings: Settings, key_file: Path | None) -> str | None:
    """The key that a file holds, else that of the settings; None where there is neither.

    What is no key is found out before it is sent.

    Raises:
        OSError: the file cannot be read.
    """
    if key_file is not None:
        return key_file.read_bytes().decode("utf-8", "replace").strip()
    key = settings.api_key
    return None if key is None else key.get_secret_value().strip() or None


def _found(listening: Listening, settings: Settings, key: str | None) -> Neighbour | None:
    if listening.answers_by != settings.answers_by:
        note(f"answered here: the service at {listening.url} has another encoder or database set")
        return None
    try:
        return Neighbour(listening, key)
    except _Unusable as reason:
        if str(reason):
            note(f"answered here: {reason}")
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError):
        pass  # gone, or not what it was: as good as none
    return None
