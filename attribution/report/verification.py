"""Is this file a report as its signer made it? Judges bytes alone, whoever brings them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from attribution.report.canonical import canonical, parse
from attribution.report.signing import PublicKey, decoded

SignatureVerdict = Literal["valid", "intact", "other-key", "altered", "reformatted", "unsigned"]

MEANING: dict[SignatureVerdict, str] = {
    "valid": "signed by the key given, and not a byte has changed since",
    "intact": "unchanged since it was signed by the key that it carries; whose key that is, "
    "nothing in the file can prove: compare it with the signer's, by --public-key",
    "other-key": "signed, and unchanged since, but not by the key given",
    "altered": "NOT as it was signed: its content or its signature has been changed",
    "reformatted": "the content is as it was signed, but the file was written anew by some "
    "program: ask for the original",
    "unsigned": "not signed: nothing shows who made it or whether it was changed",
}


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict, and the key that the file names where its signature can be read."""

    verdict: SignatureVerdict
    key: PublicKey | None = None

    @property
    def meaning(self) -> str:
        """The verdict in words."""
        return MEANING[self.verdict]


def verify(data: bytes, trusted: PublicKey | None = None) -> Verification:
    """Judge a report's file.

    Args:
        data: the file, whole.
        trusted: the key that it should be signed by; without it the best verdict is `intact`,
            since anybody can sign a forgery with a key of their own.

    Raises:
        NotAReport: it is no report at all.
    """
    members = parse(data)
    is_canonical = canonical(members) == data
    if "signature" not in members:
        return Verification("unsigned")
    signature = members.pop("signature")
    key, value = _key(signature), _value(signature)
    if key is None or value is None or not key.verifies(value, canonical(members)):
        return Verification("altered", key)
    if trusted is not None and key != trusted:
        return Verification("other-key", key)
    if not is_canonical:
        return Verification("reformatted", key)
    return Verification("intact" if trusted is None else "valid", key)


def _key(signature: Any) -> PublicKey | None:
    """The key that a signature names, where all that it says of it agrees."""
    if not isinstance(signature, dict) or set(signature) != _MEMBERS:
        return None
    text = signature["public_key"]
    raw = decoded(text, 32) if isinstance(text, str) else None
    if raw is None or signature["algorithm"] != "Ed25519":
        return None
    key = PublicKey(raw)
    return key if signature["key_id"] == key.id else None


def _value(signature: Any) -> bytes | None:
    text = signature.get("value") if isinstance(signature, dict) else None
    return decoded(text, 64) if isinstance(text, str) else None


_MEMBERS = frozenset({"algorithm", "key_id", "public_key", "value"})
