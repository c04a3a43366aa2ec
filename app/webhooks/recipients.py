"""Who is told, as the settings have it; light, for commands that only queue."""

from __future__ import annotations

from app.settings.webhooks import WebhookSettings
from attribution.catalog import Told


def told(settings: WebhookSettings) -> Told | None:
    """Who is told; None where nobody is."""
    targets = settings.webhook_targets
    return Told(targets, settings.webhook_queue) if targets else None
