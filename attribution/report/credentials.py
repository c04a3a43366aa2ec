"""A report inside the image that it is about: an assertion of a signed C2PA manifest. Extra `c2pa`.

The manifest that the image had stays as the ingredient it was. No authority is asked for a time.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from attribution.credentials.reading import OFFLINE
from attribution.report.canonical import report_bytes
from attribution.report.document import Report
from attribution.report.signing import BadKey, read_private

try:
    import c2pa
except ImportError as error:
    raise ImportError(
        "content credentials need the extra `c2pa`: pip install 'attribution[c2pa]'"
    ) from error

LABEL = "org.attribution.report"
"""Of the assertion; its member `json` is the report, byte for byte."""
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


class NotSigned(ValueError):
    """The copy could not be made; says why."""


class CredentialSigner:
    """A private key and the certificates that say whose it is, the leaf first."""

    def __init__(self, certificates: Path, key: Path) -> None:
        """Read both.

        Raises:
            BadKey: one of them cannot be read, is open to others, or is no such key.
        """
        private = read_private(key)
        algorithm = _algorithm(private, key)
        try:
            chain = certificates.read_bytes()
        except OSError as error:
            raise BadKey(f"{certificates} cannot be read: {error.strerror}") from error
        if b"-----BEGIN CERTIFICATE-----" not in chain:
            raise BadKey(f"{certificates} holds no certificates in PEM, the leaf first")
        self._info = c2pa.C2paSignerInfo(algorithm.encode(), chain, private, None)
        self._certificates = certificates

    def signed_copy(self, image: bytes, image_format: str, report: Report) -> bytes:
        """The image with a manifest that holds the report.

        Args:
            image: the file.
            image_format: such as `jpeg`.
            report: about this very file.

        Raises:
            NotSigned: the format takes no manifest, or the certificates are not what C2PA wants.
        """
        manifest = {
            "claim_generator_info": [{"name": "attribution", "version": report.service.version}],
            "assertions": [{"label": LABEL, "data": _assertion(report)}],
        }
        written = io.BytesIO()
        try:
            signer = c2pa.Signer.from_info(self._info)
            settings = {**OFFLINE, "builder": {"thumbnail": {"enabled": False}}}
            with c2pa.Builder(manifest, context=c2pa.Context.from_dict(settings)) as builder:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
                builder.sign(signer, f"image/{image_format}", io.BytesIO(image), written)
        except c2pa.C2paError as error:
            raise NotSigned(
                f"no signed copy could be made of this {image_format} by {self._certificates}: "
                f"{error}"
            ) from error
        return written.getvalue()


def _assertion(report: Report) -> dict[str, Any]:
    """The report as a text, and what a reader without this project wants to see of it.

    As members its numbers would not keep their last digit, and its signature would not hold.
    """
    return {
        "type": report.type,
        "version": report.version,
        "decision": report.decision,
        "attributed": [each.uri or each.source_id for each in report.sources if each.attributed],
        "json": report_bytes(report).decode(),
    }


def _algorithm(pem: bytes, path: Path) -> str:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey(f"{path} holds no unencrypted private key in PEM") from error
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    raise BadKey(f"{path} holds a key that C2PA has no use for: take P-256, Ed25519 or RSA")
