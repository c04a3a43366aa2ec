"""The connection to a Milvus, for any thread: a cluster by its URL, an embedded one by its path.

Knows no vector. It connects when it is first asked, and again by itself once a server that was
away has come back.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from attribution.index.protocol import IndexUnavailable

EXTRA = "attribution[milvus]"
FILE = ".db"
"""How the path of an embedded Milvus ends."""

_SECONDS = 10.0
"""An answer that takes longer is none; the client asks a server that is away again until then."""
_FRESH_SECONDS = 1.0  # for as long what was seen last is believed, by whoever asks how it is
_NOT_LOADED = 101  # Milvus's code for it
# A server of gRPC takes a ping every ten seconds for abuse where nothing else is sent.
_CHANNEL = (
    ("grpc.keepalive_permit_without_calls", False),
    ("grpc.max_reconnect_backoff_ms", 5000),
)
_SPELLINGS = f"write http://host:19530, or a path that ends in {FILE}"


class NotLoaded(IndexUnavailable):
    """Milvus has the collection, and not in its memory."""


class Server:
    """One Milvus.

    Attributes:
        place: what messages call it.
        embedded: whether it is one of this process.
        returns: how often it has come back, as far as was seen from here.
    """

    def __init__(self, url: str) -> None:
        """Nothing is connected yet.

        Args:
            url: `http://` or `https://`, with user and password if need be and the database as its
                path; or the path of an embedded Milvus, which serves one process at a time.

        Raises:
            IndexUnavailable: it is neither.
        """
        self._url = url
        self._path = url if url.endswith(FILE) and "://" not in url else None
        self.embedded = self._path is not None
        parts = urlsplit(url)
        if not self.embedded and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise IndexUnavailable(f"the index URL makes no sense: {_SPELLINGS}")
        host = parts.hostname or ""
        self.place = f"Milvus at {url if self.embedded else f'{host}:{parts.port or 19530}'}"
        self._connecting = threading.Lock()
        self._client: Any = None
        self._trouble: str | None = None
        self.returns = 0
        self._seen = float("-inf")

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Have the client do something.

        Raises:
            IndexUnavailable: Milvus is not there, or does not do it.
        """
        try:
            found = getattr(self._connected(), method)(*arguments, timeout=_SECONDS, **named)
        except IndexUnavailable as error:
            self._note(str(error))
            raise
        except Exception as error:
            # Of whatever kind: the client raises its own, those of gRPC, and plain ones.
            said = _in_one_line(error)
            if getattr(error, "code", None) == _NOT_LOADED:
                raise NotLoaded(said) from error
            self._note(f"{self.place} does not answer: {said}")
            raise IndexUnavailable(
                f"{self.place} does not answer {method}: {said}; see that it runs, and that this "
                "machine reaches it"
            ) from error
        self._note(None)
        return found

    def read(self, method: str, collection: str, **named: Any) -> Any:
        """`call` of what needs a collection in the memory of Milvus, to which it is brought.

        It is from its making on, but a server that begins anew may not bring it back by itself.

        Raises:
            IndexUnavailable: Milvus is not there, or does not do it.
        """
        try:
            return self.call(method, collection, **named)
        except NotLoaded:
            self.returns += 1
            self.call("load_collection", collection)
            return self.call(method, collection, **named)

    def trouble(self) -> str | None:
        """Why it cannot be asked; None where it can. Looked at when asked, once a second."""
        if time.monotonic() - self._seen > _FRESH_SECONDS:
            with contextlib.suppress(IndexUnavailable):
                self.call("list_collections")
        return self._trouble

    def _note(self, trouble: str | None) -> None:
        if trouble is None and self._trouble is not None:
            self.returns += 1
        self._trouble, self._seen = trouble, time.monotonic()

    def _connected(self) -> Any:
        with self._connecting:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        try:
            from pymilvus import MilvusClient  # noqa: PLC0415
        except ImportError as error:
            raise IndexUnavailable(
                f"the client of Milvus is not installed ({error}): pip install '{EXTRA}'"
            ) from error
        # What goes wrong is raised, and told by whoever catches it.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        if self._path is None:
            parts = urlsplit(self._url)
            bare = f"{parts.scheme}://{parts.hostname}:{parts.port or 19530}"
            return MilvusClient(
                bare,
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                db_name=parts.path.strip("/"),
                timeout=_SECONDS,
                grpc_options=_CHANNEL,
            )
        path = Path(self._path).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return MilvusClient(str(path), timeout=_SECONDS, grpc_options=_CHANNEL)
        except Exception as error:
            raise IndexUnavailable(
                f"the embedded Milvus at {path} cannot be opened: {_in_one_line(error)}; it serves "
                "one process at a time: stop the other, or run `milvus-lite server --data-dir "
                f"{path}` and give every process its URL"
            ) from error


def _in_one_line(error: Exception) -> str:
    said = getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())
