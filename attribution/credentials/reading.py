"""Reads the manifest out of the bytes of an image, by the extra `c2pa`, and asks nobody for it.

What is not in the file is not fetched: neither a manifest elsewhere nor the state of a certificate.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from attribution.credentials.statement import Credentials, Ingredient, State

if TYPE_CHECKING:
    import c2pa

logger = logging.getLogger(__name__)

MOST_INGREDIENTS = 32
_MOST_CODES = 16
_LONGEST_TEXT = 200
_MOST_BYTES = 32_000_000
"""Of one ingredient's file or thumbnail."""
_MARKS = (b"jumb", b"c2pa")
"""A manifest is a superbox (JUMBF) of this type; one that lacks either is none."""
_STATES: Mapping[str, State] = {"Trusted": "trusted", "Valid": "valid"}
_UNTRUSTED = "signingCredential.untrusted"
OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    # An identity may name a place to look it up.
    "core": {"allowed_network_hosts": [], "decode_identity_assertions": False},
}
"""Settings of the library under which it stays off the network."""


def read_credentials(data: bytes, image_format: str) -> Credentials | None:
    """What the manifest in a file says; None where it has none.

    Args:
        data: the whole file.
        image_format: such as `jpeg`.
    """
    if not all(mark in data for mark in _MARKS):
        return None
    try:
        import c2pa  # noqa: PLC0415  # an extra
    except ImportError:
        return Credentials("not-read")
    try:
        reader = c2pa.Reader(f"image/{image_format}", io.BytesIO(data), context=_context())
        with reader:
            return _read(reader)
    except c2pa.C2paError as error:
        logger.info("a manifest cannot be read: %.200s", error)
        missing = type(error).__name__.endswith("ManifestNotFound")
        return None if missing else Credentials("unreadable")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        logger.info("a manifest says what no manifest does: %.200r", error)
        return Credentials("unreadable")


@cache
def _context() -> c2pa.Context:
    import c2pa  # noqa: PLC0415  # an extra

    return c2pa.Context.from_dict(OFFLINE)


def _read(reader: c2pa.Reader) -> Credentials:
    whole = json.loads(reader.json())
    active = whole["manifests"][whole["active_manifest"]]
    codes = dict.fromkeys(
        _text(each.get("code")) or "" for each in whole.get("validation_status") or ()
    )
    state = _STATES.get(str(whole.get("validation_state")), "invalid")
    ingredients = active.get("ingredients") or []
    signature = active.get("signature_info") or {}
    return Credentials(
        state,
        problems=tuple(code for code in codes if code and code != _UNTRUSTED)[:_MOST_CODES],
        generator=_generator(active),
        signer=_text(signature.get("issuer")) or _text(signature.get("common_name")),
        digital_source_type=_digital_source_type(active.get("assertions") or ()),
        ingredients=tuple(_ingredient(reader, each) for each in ingredients[:MOST_INGREDIENTS]),
        more_ingredients=max(0, len(ingredients) - MOST_INGREDIENTS),
    )


def _generator(manifest: Mapping[str, Any]) -> str | None:
    for each in manifest.get("claim_generator_info") or ():
        if name := _text(each.get("name")):
            version = _text(each.get("version"))
            return f"{name} {version}" if version else name
    return _text(manifest.get("claim_generator"))


def _digital_source_type(assertions: Iterable[Mapping[str, Any]]) -> str | None:
    for each in assertions:
        if str(each.get("label")).startswith("c2pa.actions"):
            for action in each["data"].get("actions") or ():
                if kind := _text(action.get("digitalSourceType")):
                    return kind.rstrip("/").rpartition("/")[2]
    return None


def _ingredient(reader: c2pa.Reader, said: Mapping[str, Any]) -> Ingredient:
    files = {name: _resource(reader, said.get(name)) for name in ("data", "thumbnail")}
    identifiers = (_text(said.get(name), longest=2048) for name in ("instance_id", "document_id"))
    return Ingredient(
        title=_text(said.get("title")),
        relationship=_text(said.get("relationship")),
        identifiers=tuple(dict.fromkeys(filter(None, identifiers))),
        digests=tuple(hashlib.sha256(file).hexdigest() for file in files.values() if file),
        thumbnail=files["thumbnail"],
    )


def _resource(reader: c2pa.Reader, named: Any) -> bytes:
    """The bytes of a part of the manifest; none where it has none, or too many."""
    if not isinstance(named, dict) or not isinstance(named.get("identifier"), str):
        return b""
    import c2pa  # noqa: PLC0415  # an extra

    written = io.BytesIO()
    try:
        reader.resource_to_stream(named["identifier"], written)
    except c2pa.C2paError:
        return b""
    return written.getvalue() if written.tell() <= _MOST_BYTES else b""


def _text(value: Any, longest: int = _LONGEST_TEXT) -> str | None:
    """A text without what no line should hold, and not endless."""
    if not isinstance(value, str):
        return None
    shown = "".join(each if each.isprintable() else " " for each in value[:longest])
    return " ".join(shown.split()) or None
