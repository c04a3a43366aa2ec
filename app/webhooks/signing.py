"""The signature of a message, as Standard Webhooks has it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence


def signed_headers(
    message_id: str, seconds: int, body: bytes, keys: Sequence[bytes]
) -> dict[str, str]:
    """The headers of a message.

    `webhook-signature` is, for each key k, `v1,` and base64 of HMAC-SHA256(k, id "." t "." body),
    separated by spaces (Standard Webhooks 1.0.0).

    Args:
        message_id: the same at every attempt, so that a receiver knows it again.
        seconds: since 1970, of this attempt; a receiver refuses an old one.
        body: what is sent, byte for byte.
        keys: the secrets.
    """
    content = f"{message_id}.{seconds}.".encode() + body
    signatures = (
        base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode() for key in keys
    )
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }
