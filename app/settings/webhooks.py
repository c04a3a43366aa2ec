"""Settings of webhooks: who is told, with which secret, and how far it may go."""

from __future__ import annotations

import base64
import binascii
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from app.settings.limits import Limits

_PREFIX = "whsec_"
_LEAST_SECRET, _MOST_SECRET = 24, 64
_MOST_ADDRESSES = 16


class WebhookSettings(Limits):
    """Off while `webhook_urls` is unset."""

    webhook_urls: str | None = Field(
        default=None,
        description="Addresses that are told when a source is attributed or taken down, separated "
        "by spaces; `https`, at most 16. Unset: nobody is.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="What messages are signed with, as `attribution webhooks secret` makes it. Two "
        "separated by a space while the old one is replaced.",
    )
    webhook_collections: str | None = Field(
        default=None,
        description="Collections whose sources are told of, separated by spaces; unset: all.",
    )
    webhook_private: bool = Field(
        default=False,
        description="Let addresses of webhooks be this machine's or of private networks, and "
        "without TLS.",
    )
    webhook_attempts: int = Field(
        default=12,
        ge=1,
        le=50,
        description="How often a message is tried before it is given up: after 5 seconds, then "
        "twice as long each time, at most 6 hours.",
    )
    webhook_queue: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Messages to an address that may wait or have been given up; further ones to "
        "it are lost, which is logged and counted.",
    )

    @field_validator("webhook_urls")
    @classmethod
    def _addresses(cls, value: str | None) -> str | None:
        listed = (value or "").split()
        if len(listed) > _MOST_ADDRESSES:
            raise ValueError(f"names {len(listed)} addresses; {_MOST_ADDRESSES} are told at most")
        for url in listed:
            parts = urlsplit(url)
            wrong = parts.scheme not in ("http", "https") or not parts.hostname
            if wrong or parts.username is not None or parts.fragment:
                raise ValueError(f"{url!r} is no address: write https://HOST/PATH")
        return value

    @model_validator(mode="after")
    def _signed_and_hidden(self) -> Self:
        try:
            self.webhook_keys  # noqa: B018  # in words that do not show them
        except ValueError as error:
            raise ValueError(f"ATTRIBUTION_WEBHOOK_SECRET {error}") from None
        if self.webhook_targets and not self.webhook_keys:
            raise ValueError(
                "ATTRIBUTION_WEBHOOK_URLS needs ATTRIBUTION_WEBHOOK_SECRET: "
                "`attribution webhooks secret` makes one"
            )
        if not self.webhook_private:
            for url in self.webhook_targets:
                if urlsplit(url).scheme != "https":
                    raise ValueError(f"{url} is not https, for which webhook_private must be set")
        return self

    @property
    def webhook_targets(self) -> tuple[str, ...]:
        """The addresses, each once."""
        return tuple(dict.fromkeys((self.webhook_urls or "").split()))

    @property
    def webhook_keys(self) -> tuple[bytes, ...]:
        """The secrets as bytes."""
        if self.webhook_secret is None:
            return ()
        return tuple(map(_decoded, self.webhook_secret.get_secret_value().split()))

    @property
    def webhooks_within(self) -> frozenset[str] | None:
        """The collections that are told of; None for all."""
        return frozenset((self.webhook_collections or "").split()) or None


def _decoded(secret: str) -> bytes:
    """The bytes of a secret; the error does not show it."""
    try:
        raw = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raw = b""
    if not secret.startswith(_PREFIX) or not _LEAST_SECRET <= len(raw) <= _MOST_SECRET:
        raise ValueError("is no secret of webhooks: `attribution webhooks secret` makes one")
    return raw
