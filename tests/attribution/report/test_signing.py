"""Keys: made once, read only where nobody else can, and the same as in RFC 8032."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from attribution.report.signing import BadKey, load_key, load_public_key, new_key

# RFC 8032, section 7.1, test 1.
SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def private_file(path, data, mode=0o600):
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_32_raw_bytes_are_the_seed_of_rfc_8032(tmp_path):
    key = load_key(private_file(tmp_path / "key", bytes.fromhex(SEED)))
    assert key.public.raw.hex() == PUBLIC


def test_a_new_key_is_for_its_owner_and_loads_again(tmp_path):
    made = new_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert load_key(tmp_path / "key.pem").public == made.public
    for public in (str(tmp_path / "key.pem.pub"), made.public.base64):
        assert load_public_key(public) == made.public


@pytest.mark.parametrize("name", ["key.pem", "key.pem.pub"])
def test_nothing_is_overwritten(tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(FileExistsError):
        new_key(tmp_path / "key.pem")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o606])
def test_a_key_that_others_can_read_or_change_is_refused(tmp_path, mode):
    path = private_file(tmp_path / "key", bytes.fromhex(SEED), mode)
    with pytest.raises(BadKey, match="chmod 600"):
        load_key(path)


def test_the_group_may_read(tmp_path):
    assert load_key(private_file(tmp_path / "key", bytes.fromhex(SEED), 0o640)).public.raw


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_says_how_to_make_one(tmp_path, data):
    with pytest.raises(BadKey, match="report new-key"):
        load_key(private_file(tmp_path / "key", data))


def test_a_key_of_another_kind_is_refused(tmp_path):
    other = generate_private_key(SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(BadKey, match="Ed25519"):
        load_key(private_file(tmp_path / "key", pem))
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(BadKey, match="not of Ed25519"):
        load_public_key(str(private_file(tmp_path / "pub", public)))


def test_a_missing_key_is_named(tmp_path):
    with pytest.raises(BadKey, match=r"nowhere cannot be read: No such file"):
        load_key(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["nowhere.pem", base64.b64encode(bytes(31)).decode(), ""])
def test_a_public_key_is_a_file_or_base64(text):
    with pytest.raises(BadKey):
        load_public_key(text)


def test_signing_again_replaces_the_signature(report, key, other_key):
    again = other_key.sign(key.sign(report))
    assert again == other_key.sign(report)
    assert again.signature.key_id == other_key.public.id
