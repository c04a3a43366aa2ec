"""The public key of signed reports."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

EXAMPLE: dict[str, Any] = {
    "algorithm": "Ed25519",
    "key_id": "21fe31dfa154a261",
    "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "pem": "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n",
}


class ReportKey(BaseModel, json_schema_extra={"examples": [EXAMPLE]}):
    """An Ed25519 public key (RFC 8032); what a report's signature covers: docs/report.md."""

    algorithm: Literal["Ed25519"] = "Ed25519"
    key_id: str = Field(description="First 16 hex digits of the SHA-256 of the key's 32 bytes.")
    public_key: str = Field(description="The 32 bytes, as base64.")
    pem: str = Field(description="The same as SubjectPublicKeyInfo.")
