"""Sends one address what it is to be told, one message after the other, again and ever later."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

import httpx

from app.version import service_version
from app.webhooks.messages import body_of
from app.webhooks.places import Forbidden, place_of
from app.webhooks.signing import signed_headers
from attribution.catalog import Catalog, CatalogError, Message

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
"""Between looks at the queue, for what another process has put there or has become due."""
_FIRST_SECONDS = 5.0
_LONGEST_SECONDS = 6 * 3600.0
_ANSWER_SECONDS = 10.0
_GONE = 410
_BUSY = (429, 503)


class Sender:
    """A thread for one address: one that is slow or gone keeps no other waiting."""

    def __init__(
        self,
        url: str,
        catalog: Catalog,
        keys: Sequence[bytes],
        *,
        attempts: int,
        private: bool,
        trusted: ssl.SSLContext,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """Use `start`.

        Args:
            url: whom to tell.
            catalog: has the queue.
            keys: what is signed with.
            attempts: of one message, before it is given up.
            private: whether it may be this machine or one of a private network.
            trusted: whose certificates count.
            leads: whether it is this process that sends, rather than another on the catalog.
        """
        self._url, self._catalog, self._keys = url, catalog, keys
        self._attempts, self._private, self._trusted = attempts, private, trusted
        self._leads = leads
        self._wake = threading.Event()
        self._stopping = False
        self._unrecorded: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wake(self) -> None:
        """Look now: there is something to tell."""
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing more; what waits stays in the queue."""
        self._stopping = True
        self._wake.set()

    def close(self) -> None:
        """End the thread, after the message under way."""
        self.stop()
        if self._thread.ident is not None:  # it was started
            self._thread.join()

    def _work(self) -> None:
        while not self._stopping:
            try:
                more = self._send_due()
            except CatalogError as error:
                logger.warning("webhooks cannot be looked up, or what came of one: %s", error)
                more = False
            except Exception:
                logger.exception("sending webhooks failed; it is tried again")
                more = False
            if not more:
                self._wake.wait(_LOOK_SECONDS)
                self._wake.clear()

    def _send_due(self) -> bool:
        """Send some of what is due; whether there may be more."""
        if not self._leads():
            return False
        self._record()
        messages = self._catalog.webhooks.due(self._url)
        for message in messages:
            if self._stopping:
                return False
            self._send(message)
        return bool(messages)

    def _send(self, message: Message) -> None:
        self._unrecorded = self._outcome(message)
        self._record()

    def _record(self) -> None:
        """Write down what came of the last message: until that is done it is not sent again."""
        if self._unrecorded is not None:
            self._unrecorded()
            self._unrecorded = None

    def _outcome(self, message: Message) -> Callable[[], None]:
        """Send a message; how to write down what came of it."""
        queue, number = self._catalog.webhooks, message.number
        body = body_of(self._catalog, message)
        if body is None:
            return partial(queue.done, number)
        wanted = 0.0
        try:
            response = self._post(message, body)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError, Forbidden) as error:
            said = str(error) or f"no answer in {_ANSWER_SECONDS:g} s"
            trouble = f"{type(error).__name__}: {said}"
        else:
            if response.is_success:
                return partial(queue.done, number)
            trouble = f"it answers {response.status_code}"
            if response.status_code == _GONE:
                return partial(queue.failed, number, trouble, again_in=None)
            if response.status_code in _BUSY:
                wanted = _seconds(response.headers.get("retry-after", ""))
        again_in = None
        if message.attempts + 1 < self._attempts:
            pause = max(backoff(message.attempts), wanted)
            again_in = timedelta(seconds=pause)
        else:
            logger.warning("a message to %s is given up: %s", _shown(self._url), trouble)
        return partial(queue.failed, number, trouble, again_in=again_in)

    def _post(self, message: Message, body: bytes) -> httpx.Response:
        """The answer to a message, of which nothing but the head is read.

        The name is looked up here and the request goes to what was found, past every proxy, so
        that nothing between the look and the request can lead it elsewhere.

        Raises:
            TimeoutError: the whole of it takes longer than is allowed, be it a byte at a time.
        """
        place = place_of(self._url, private=self._private)
        headers = signed_headers(message.message_id, int(time.time()), body, self._keys)
        headers |= {
            "Host": place.host,
            "Content-Type": "application/json",
            "User-Agent": f"attribution/{service_version()}",
        }

        async def posted() -> httpx.Response:
            async with (
                asyncio.timeout(_ANSWER_SECONDS),
                httpx.AsyncClient(
                    verify=self._trusted,
                    trust_env=False,
                    follow_redirects=False,
                    timeout=_ANSWER_SECONDS,
                ) as client,
                client.stream(
                    "POST",
                    place.url,
                    content=body,
                    headers=headers,
                    extensions={"sni_hostname": place.name},
                ) as response,
            ):
                return response

        return asyncio.run(posted())


def backoff(attempts: int) -> float:
    """Seconds until the next attempt, after so many that came to nothing: half of it by chance.

    min(5 * 2^n, 6 hours) * U(1/2, 1): those who came at once do not come back at once.
    """
    longest = min(_FIRST_SECONDS * 2.0 ** min(attempts, 32), _LONGEST_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # no secret


def _seconds(text: str) -> float:
    return min(float(text), _LONGEST_SECONDS) if text.isdecimal() else 0.0


def _shown(url: str) -> str:
    """An address without what may be secret in it, also of one that cannot be used."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"
