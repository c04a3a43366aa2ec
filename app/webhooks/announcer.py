"""Queues what happened for the addresses that the operator lists, and has it sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import httpx

from app.answers import FreshAnswer
from app.settings.webhooks import WebhookSettings
from app.telemetry.metrics import Metrics
from app.webhooks.messages import attributed
from app.webhooks.recipients import told
from app.webhooks.sender import Sender
from attribution.catalog import Catalog, CatalogError, NewMessage

logger = logging.getLogger(__name__)


class Announcer:
    """What is queued is in the catalog: a process that is killed loses none of it."""

    def __init__(
        self,
        settings: WebhookSettings,
        catalog: Catalog,
        metrics: Metrics,
        *,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """Nothing is sent before `start`, nor while `leads` says that another process does."""
        self._catalog, self._metrics = catalog, metrics
        self._within = settings.webhooks_within
        self.told = told(settings)
        trusted = httpx.create_ssl_context() if self.told else None
        self._senders = [
            Sender(
                url,
                catalog,
                settings.webhook_keys,
                attempts=settings.webhook_attempts,
                private=settings.webhook_private,
                trusted=trusted,
                leads=leads,
            )
            for url in settings.webhook_targets
            if trusted is not None
        ]

    def start(self) -> None:
        """Begin to send what waits."""
        for sender in self._senders:
            sender.start()

    def close(self) -> None:
        """End sending, after the messages under way."""
        for sender in self._senders:
            sender.stop()
        for sender in self._senders:
            sender.close()

    def wake(self) -> None:
        """Send now: something was queued."""
        for sender in self._senders:
            sender.wake()

    def worth_telling(
        self, answers: Sequence[FreshAnswer], message_ids: Sequence[str | None] | None = None
    ) -> list[NewMessage]:
        """What there is to tell of answers; nothing where nobody is told."""
        if self.told is None:
            return []
        ids = message_ids or [None] * len(answers)
        made = (
            attributed(answer, self._within, message_id)
            for answer, message_id in zip(answers, ids, strict=True)
        )
        return [message for message in made if message is not None]

    def put(self, messages: Sequence[NewMessage]) -> None:
        """Queue messages. Blocks for one write; what cannot be queued is lost, logged and counted.

        An answer does not fail for it.
        """
        if self.told is None or not messages:
            return
        try:
            lost = self._catalog.webhooks.put(messages, self.told)
        except CatalogError as error:
            logger.warning("webhooks could not be queued: %s", error)
            lost = len(messages) * len(self.told.urls)
        else:
            self.wake()
        if lost:
            logger.warning("%d webhooks are lost: too many wait, or they cannot be kept", lost)
            self._metrics.webhooks_lost(lost)
