"""Tampering of every kind is found, and said in the right words."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.report.canonical import NotAReport, canonical, report_bytes
from attribution.report.signing import SigningKey
from attribution.report.verification import MEANING, verify
from tests.support.answers import attribution, report_of


def reread(data, change):
    """The file after a change to its members, in canonical form again."""
    members = json.loads(data)
    change(members)
    return canonical(members)


@pytest.fixture
def signed(report, key) -> bytes:
    return report_bytes(key.sign(report))


def test_the_signer_is_known_only_by_a_key_from_elsewhere(signed, key, other_key):
    assert verify(signed, key.public).verdict == "valid"
    assert verify(signed, other_key.public).verdict == "other-key"
    assert verify(signed).verdict == "intact"
    assert verify(signed).key == key.public


def test_an_unsigned_report_is_called_so(report, key):
    assert verify(report_bytes(report), key.public).verdict == "unsigned"
    assert verify(report_bytes(report)).key is None


def test_a_forgery_under_a_key_of_its_own_is_not_valid(report, key, other_key):
    forged = report_bytes(other_key.sign(report.model_copy(update={"decision": "attributed"})))
    assert verify(forged, key.public).verdict == "other-key"


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members.update(p_value=0.0001),
        lambda members: members.update(decision="no_source_found"),
        lambda members: members["sources"].reverse(),
        lambda members: members["sources"][0].update(creator="Somebody Else"),
        lambda members: members["query"].update(sha256="0" * 64),
        lambda members: members.update(extra=1),
        lambda members: members.pop("statement"),
        lambda members: members["signature"].update(key_id="0" * 16),
        lambda members: members["signature"].update(algorithm="none"),
        lambda members: members["signature"].update(value="AAAA"),
        lambda members: members["signature"].update(value=None),
        lambda members: members["signature"].update(public_key=7),
        lambda members: members["signature"].update(extra=1),
        lambda members: members["signature"].pop("value"),
        lambda members: members.update(signature=None),
        lambda members: members.update(signature="signed, really"),
    ],
)
def test_any_change_of_content_or_signature_is_an_alteration(signed, key, change):
    altered = reread(signed, change)
    assert verify(altered, key.public).verdict == "altered"
    assert verify(altered).verdict == "altered"


def test_base64_written_another_way_is_an_alteration(signed, key):
    def loosen(members):
        value = members["signature"]["value"]
        alike = value[:85] + chr(ord(value[85]) + 1) + "=="
        assert base64.b64decode(alike) == base64.b64decode(value)
        members["signature"]["value"] = alike

    assert verify(reread(signed, loosen), key.public).verdict == "altered"


def test_a_signature_moved_to_another_report_does_not_fit(signed, key):
    other = report_of(attribution("no_source_found"))
    moved = json.loads(report_bytes(other)) | {"signature": json.loads(signed)["signature"]}
    assert verify(canonical(moved), key.public).verdict == "altered"


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda data: data + b"\n",
        lambda data: json.dumps(json.loads(data), indent=2).encode(),
        lambda data: json.dumps(json.loads(data), separators=(",", ":")).encode()[:-1] + b" }",
    ],
)
def test_a_file_written_anew_is_not_called_valid_but_its_content_is(signed, key, rewrite):
    assert verify(rewrite(signed), key.public).verdict == "reformatted"


@pytest.fixture(scope="module")
def file_and_key(key) -> tuple[bytes, SigningKey]:
    return report_bytes(key.sign(report_of(attribution(count=1)))), key


@given(st.data())
def test_no_flipped_byte_goes_unnoticed(file_and_key, data):
    file, key = file_and_key
    place = data.draw(st.integers(0, len(file) - 1))
    flip = data.draw(st.integers(1, 255))
    flipped = file[:place] + bytes([file[place] ^ flip]) + file[place + 1 :]
    try:
        verdict = verify(flipped, key.public).verdict
    except NotAReport:
        return
    assert verdict in {"altered", "reformatted", "unsigned"}


def test_every_verdict_has_its_words():
    assert "NOT" in MEANING["altered"]
    assert all(meaning and not meaning.endswith(".") for meaning in MEANING.values())
