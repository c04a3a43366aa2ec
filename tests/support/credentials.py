"""Images with a signed C2PA manifest, by a key and certificates made here."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
ACTIONS = {
    "label": "c2pa.actions",
    "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": GENERATED}]},
}


@dataclass(frozen=True)
class Certified:
    """A private key and the certificates that say whose it is."""

    key: bytes
    chain: bytes

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Files of the certificates and of the key."""
        chain, key = folder / "chain.pem", folder / "key.pem"
        chain.write_bytes(self.chain)
        key.write_bytes(self.key)
        key.chmod(0o600)
        return chain, key


@cache
def certified() -> Certified:
    root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    chain = _certificate("leaf", leaf, root), _certificate("root", root, root)
    private = leaf.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Certified(private, b"".join(each.public_bytes(Encoding.PEM) for each in chain))


def signed(image: bytes, *ingredients: dict, embedded: bytes = b"", thumbnails=False) -> bytes:
    """A JPEG with a manifest that names ingredients; `embedded` lies in it whole as another."""
    settings = {"builder": {"thumbnail": {"enabled": thumbnails}}}
    manifest = {
        "claim_generator_info": [{"name": "Maker\x1b[31m", "version": "3.1"}],
        "assertions": [ACTIONS],
    }
    with c2pa.Builder(manifest, context=c2pa.Context.from_dict(settings)) as builder:
        for each in ingredients:
            picture = io.BytesIO(each.pop("picture", image))
            builder.add_ingredient({"relationship": "inputTo", **each}, "image/jpeg", picture)
        if embedded:
            whole = {"format": "image/jpeg", "identifier": "whole"}
            builder.add_resource("whole", io.BytesIO(embedded))
            builder.add_ingredient(
                {"title": "whole.jpg", "relationship": "inputTo", "data": whole},
                "image/jpeg",
                io.BytesIO(embedded),
            )
        written = io.BytesIO()
        builder.sign(_signer(), "image/jpeg", io.BytesIO(image), written)
    return written.getvalue()


def pointing(image: bytes, url: str) -> bytes:
    """A JPEG that says its manifest is at an address."""
    with c2pa.Builder({"assertions": [ACTIONS]}) as builder:
        builder.set_no_embed()
        builder.set_remote_url(url)
        written = io.BytesIO()
        builder.sign(_signer(), "image/jpeg", io.BytesIO(image), written)
    return written.getvalue()


def _signer() -> c2pa.Signer:
    made = certified()
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", made.chain, made.key, None))


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    ca = key is by
    now = datetime.now(UTC) - timedelta(days=1)
    names = [
        x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, each),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Makers Inc"),
            ]
        )
        for each in (name, "root")
    ]
    usages = dict.fromkeys(
        (
            "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
            "encipher_only", "decipher_only",
        ),
        False,
    )  # fmt: skip
    usage = x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usages)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority, critical=False)
    )
    if not ca:
        mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(mail, critical=False)
    return builder.sign(by, hashes.SHA256())
