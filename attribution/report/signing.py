"""Ed25519 keys (RFC 8032) and signatures of reports. Needs the extra `report`.

The signature covers the canonical form of the report without its `signature` member, and nothing
else: no header, no hash beforehand. Any Ed25519 library can check it (`docs/report.md`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from attribution.files import write_flushed
from attribution.report.canonical import signed_bytes
from attribution.report.document import Report, Signature

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
        load_pem_public_key,
    )
except ImportError as error:  # pragma: no cover - every test has it
    raise ImportError(
        "keys and signatures of reports need the extra `report`: pip install 'attribution[report]'"
    ) from error

_RAW = 32
# Group may read: that is how a cluster hands a secret to a process that is not root.
_FORBIDDEN_MODE = 0o037


class BadKey(ValueError):
    """A file or text that is no usable Ed25519 key; says what to do."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Who a signature is by; `raw` is the 32 bytes of RFC 8032."""

    raw: bytes

    @property
    def id(self) -> str:
        """A short name to tell keys apart; comparing keys compares all of them."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def base64(self) -> str:
        """The 32 bytes as base64."""
        return base64.b64encode(self.raw).decode()

    @property
    def pem(self) -> str:
        """The key as SubjectPublicKeyInfo, which OpenSSL reads."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature of the message is by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A private key; never shown, never logged."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = PublicKey(raw)

    def sign(self, report: Report) -> Report:
        """The report with this key's signature, in place of any that it had."""
        value = self._private.sign(signed_bytes(report))
        signature = Signature(
            key_id=self.public.id,
            public_key=self.public.base64,
            value=base64.b64encode(value).decode(),
        )
        return report.model_copy(update={"signature": signature})


def new_key(path: Path) -> SigningKey:
    """Make a key: PEM at `path`, readable by its owner only, the public half at `path`.pub.

    Raises:
        FileExistsError: a file is there; a key is never overwritten.
    """
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = SigningKey(private)
    public_path = path.with_name(f"{path.name}.pub")
    if public_path.exists():
        raise FileExistsError(f"{public_path} exists; keys are never overwritten")
    write_flushed(path, pem, mode=0o600)
    write_flushed(public_path, key.public.pem.encode(), mode=0o644)
    return key


def read_private(path: Path) -> bytes:
    """A file that holds a private key.

    Raises:
        BadKey: it is missing, or others may read or write it.
    """
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadKey(f"the signing key {path} cannot be read: {reason}") from error
    if os.name == "posix" and mode & _FORBIDDEN_MODE:
        raise BadKey(
            f"the signing key {path} is open to other users (mode {mode & 0o777:03o}): "
            f"chmod 600 {path}"
        )
    return data


def load_key(path: Path) -> SigningKey:
    """Read a private key: PEM (PKCS8, unencrypted), or its 32 raw bytes.

    Raises:
        BadKey: the file is missing, is readable or writable by others, or is no such key.
    """
    data = read_private(path)
    if len(data) == _RAW:
        return SigningKey(Ed25519PrivateKey.from_private_bytes(data))
    try:
        private = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey(f"{path} {_NO_PRIVATE_KEY}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise BadKey(f"{path} {_NO_PRIVATE_KEY}")
    return SigningKey(private)


_NO_PRIVATE_KEY = (
    "holds no unencrypted Ed25519 private key, as PEM or as 32 raw bytes: make one with "
    "`attribution report new-key PATH`"
)


def load_public_key(text: str) -> PublicKey:
    """A public key given as a PEM file's path, or as base64 of its 32 bytes.

    Raises:
        BadKey: it is neither.
    """
    raw = decoded(text, _RAW)
    if raw is not None:
        return PublicKey(raw)
    try:
        key = load_pem_public_key(Path(text).read_bytes())
    except OSError as error:
        raise BadKey(
            f"{text!r} is neither a file nor base64 of the 32 bytes of an Ed25519 public key"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey(f"{text} holds no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey(f"{text} holds a public key, but not of Ed25519")
    return PublicKey(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def decoded(text: str, size: int) -> bytes | None:
    """The bytes that this is the base64 of; None where it is not the one way to write `size`."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if len(data) == size and base64.b64encode(data).decode() == text else None
