"""The service that runs on the same data folder, asked in the place of opening the folder anew.

It has encoder, index and null in memory, so its answer comes at once; it is the one that this
process would give. Where that is not sure, or the service does not answer, there is no neighbour.
It imports nothing heavy: the point of asking is to be quick.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from app.settings import Settings
from attribution.folder_lock import Listening, listening_on

_ANSWER_SECONDS = 60.0
_GREETING_SECONDS = 2.0
_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403


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
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        try:
            self.generation = self._greet(listening, key)
        finally:
            self._connection.close()
        self._connection.timeout = _ANSWER_SECONDS

    def attribute(
        self, image: bytes, parameters: Mapping[str, Any], *, accept: str = "application/json"
    ) -> Any | None:
        """The JSON of one image's attribution; None where the service gives none.

        Args:
            image: as it is in its file.
            parameters: of the query, as the HTTP API names them.
            accept: media type of the answer.
        """
        query = urlencode({**parameters, "min_generation": self.generation}, doseq=True)
        headers = {"Content-Type": "image/*", "Accept": accept}
        try:
            return self._json("POST", f"/v1/attributions?{query}", image, headers)
        except (OSError, HTTPException, ValueError):
            self._connection.close()
            return None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _greet(self, listening: Listening, key: str | None) -> int:
        """Make sure that it is the one, and that it answers as we would; the generation then.

        Raises:
            _Unusable: it is not, or does not.
        """
        # Without the key: another program may have got the address since.
        status, health = self._request("GET", "/livez", headers={})
        if status != _OK or health.get("instance") != listening.instance:
            raise _Unusable
        status, index = self._request("GET", "/v1/index", headers=self._headers)
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

    def _json(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Any | None:
        status, document = self._request(
            method, path, body=body, headers={**self._headers, **headers}
        )
        return document if status == _OK else None

    def _request(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, Any]:
        self._connection.request(method, path, body=body, headers=dict(headers))
        response: HTTPResponse = self._connection.getresponse()
        return response.status, json.loads(response.read())


def neighbour_of(
    settings: Settings, key_file: Path | None, *, say: Callable[[str], None]
) -> Neighbour | None:
    """The service on the settings' data folder, if there is one that answers as they would.

    Args:
        settings: of this process.
        key_file: holds the key to send; None for none.
        say: told why a service that is there is not asked.

    Raises:
        OSError: the file of the key cannot be read.
    """
    key = None if key_file is None else key_file.read_text(encoding="utf-8").strip()
    listening = listening_on(settings.data)
    if listening is None:
        return None
    if listening.answers_by != settings.answers_by:
        say(f"not asked: the service at {listening.url} has another encoder or database set")
        return None
    try:
        return Neighbour(listening, key)
    except _Unusable as reason:
        if str(reason):
            say(f"not asked: {reason}")
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError):
        pass  # gone, or not what it was: as good as none
    return None


def parameters_of(*, top_k: int, alpha: float, collections: Sequence[str] | None) -> dict[str, Any]:
    """A question as the HTTP API's query."""
    return {"top_k": top_k, "alpha": alpha, "collection": sorted(set(collections or ()))}
